//go:build system

package locks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// locksOn gives what the kernel knows of locks on a file.
func locksOn(t *testing.T, path string) (list []string) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); slices.Contains(fields, inode) {
			list = append(list, strings.Join(fields[1:], " "))
		}
	}
	return list
}

// TestHost_OpensTheFile has a program that links the library open and close the database by itself, as a backup or a
// check of its size might. Ordinary locks of the process would be gone with that, and the next program that comes and
// goes would remove the log with everything in it.
func TestHost_OpensTheFile(t *testing.T) {
	db := harness.File(t)
	a, s, stop := library(t, db, store.Options{}, actor.Options{})
	if !s.Info().OFDLocks {
		t.Error("open file description locks are off")
	}
	ctx := harness.Guarded(t)
	if _, err := a.Save(ctx, "before", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	before := locksOn(t, db)
	f, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	after := locksOn(t, db)
	t.Logf("locks before %q, after %q", before, after)
	if len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("the locks were %q, and are %q after the file was opened and closed", before, after)
	}
	if got := sql(t, db, "SELECT agent_id FROM agent_state"); got != "before" {
		t.Errorf("another program sees %q", got)
	}
	if _, err := os.Stat(db + "-wal"); err != nil {
		t.Errorf("another program has removed the log: %v", err)
	}
	if _, err := a.Save(ctx, "after", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if got := sql(t, db, "SELECT agent_id FROM agent_state ORDER BY agent_id"); got != "after\nbefore" {
		t.Errorf("a fresh process sees %q after a save was acknowledged", got)
	}
	stop()
}

// TestHost_StartsAProgram has a program that links the library start another one, which must get no descriptor of the
// file: it could drop locks that it knows nothing of, or keep the owner's lock beyond the owner's life.
func TestHost_StartsAProgram(t *testing.T) {
	db := harness.File(t)
	a, _, stop := library(t, db, store.Options{}, actor.Options{})
	if _, err := a.Save(harness.Guarded(t), "a", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	list := func(dir string) string {
		out, err := exec.Command(tool(t, "ls"), "-l", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if own := list(fmt.Sprintf("/proc/%d/fd", os.Getpid())); !strings.Contains(own, db+".owner") || !strings.Contains(own, db+"-wal") {
		t.Fatalf("this process has not the descriptors that this test is about:\n%s", own)
	}
	if theirs := list("/proc/self/fd"); strings.Contains(theirs, db) {
		t.Errorf("a program that was started has descriptors of the file:\n%s", theirs)
	}
	stop()
}

// TestFiles_Modes shows that nobody but the owner can read what is in the files, whatever the umask: at the start, under
// load with checkpoints, after a kill, and after the end.
func TestFiles_Modes(t *testing.T) {
	old := syscall.Umask(0) // of this process and those that it starts; no other test runs beside this one
	defer syscall.Umask(old)
	db := harness.File(t)
	checked := map[string]int{}
	check := func(when string) {
		t.Helper()
		paths, err := filepath.Glob(db + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("%s, %s has mode %v", when, filepath.Base(path), info.Mode())
			}
			checked[strings.TrimPrefix(path, db)]++
		}
	}
	start := func() *harness.Daemon {
		return harness.Start(t, db, "--set", fmt.Sprintf("store.wal_bytes=%d", 1<<20))
	}
	load := func(d *harness.Daemon) {
		c := d.Client(t, resp.ClientOptions{})
		for i := range 100 {
			if _, err := c.Save(harness.Guarded(t), fmt.Sprintf("a-%d", i), fmt.Appendf(nil, `"%0*d"`, 100_000, i)); err != nil {
				t.Fatal(err)
			}
			check("under load")
		}
	}
	d := start()
	check("at the start")
	load(d)
	d.Kill()
	check("after a kill")
	d = start()
	load(d)
	d.Stop(t)
	check("after the end")
	for _, suffix := range []string{"", "-wal", "-shm", ".owner"} {
		if checked[suffix] == 0 {
			t.Errorf("agents.db%s was never there", suffix)
		}
	}
	t.Logf("seen: %v", checked)
}
