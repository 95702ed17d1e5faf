//go:build system

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// These tests need strace, python3 and sqlite3. With the tag they fail where something is missing.

// TestRestore_OpenInPython is TestRestore_OpenElsewhere with Python's sqlite3.
func TestRestore_OpenInPython(t *testing.T) {
	const script = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT count(*) FROM agent_state").fetchone()
print("opened", flush=True)
sys.stdin.read()
db.close()`
	openElsewhere(t, func(db string) *harness.Process {
		p := harness.Spawn(t, harness.Command{Path: pythonItself(t), Args: []string{"-c", script, db}})
		p.Line(t, "opened")
		return p
	})
}

// pythonItself gives the interpreter: what lies in the path may be a script that starts it as another process.
func pythonItself(t *testing.T) string {
	t.Helper()
	r := harness.Run(t, harness.Command{Path: tool(t, "python3"), Args: []string{"-c", "import sys; print(sys.executable)"}})
	return strings.TrimSpace(r.Stdout)
}

// TestRestore_OpenInShell is the same with SQLite's shell.
func TestRestore_OpenInShell(t *testing.T) {
	shell := tool(t, "sqlite3")
	openElsewhere(t, func(db string) *harness.Process {
		p := harness.Spawn(t, harness.Command{Path: shell, Args: []string{"-cmd", "SELECT 'opened', count(*) FROM agent_state", db}})
		p.Line(t, "opened")
		return p
	})
}

// TestRestore_KilledAtSyscall kills the command at the 1st, 2nd, … of the system calls that change names and sizes or
// reach the disk, over a file that a crash left with a log. strace counts those of each thread by itself, so most kills
// come before the rename; what comes behind it is in the store's TestRestore_Killed, which stops after each step.
func TestRestore_KilledAtSyscall(t *testing.T) {
	strace, stated := tool(t, "strace"), harness.Build(t, harness.Stated)
	src, old := filepath.Join(t.TempDir(), "src.db"), filepath.Join(t.TempDir(), "old.db")
	mustMakeAgents(t, src, "new", 30)
	mustMakeAgents(t, old, "old", 20)
	d := harness.Start(t, old)
	if _, err := d.Client(t, resp.ClientOptions{}).Save(guarded(t), "in the log", []byte("1")); err != nil {
		t.Fatal(err)
	}
	d.Kill()
	db := filepath.Join(t.TempDir(), "agents.db")
	const calls = "fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2,pwrite64"
	outcomes := map[float64]int{}
	for n, killed := 1, true; killed; n++ {
		copyFile(t, old, db)
		copyFile(t, old+"-wal", db+"-wal")
		r := harness.Run(t, harness.Command{Path: strace, Env: []string{"GOMAXPROCS=1"}, Args: []string{
			"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n),
			stated, "restore", src, "--db", db}})
		killed = r.Code != 0
		on := cli{t, []string{"--db", db}}
		got, _ := one(t, on.objects("", "check", "--deep"))["agents"].(float64)
		if got != 21 && got != 30 || !killed && got != 30 {
			t.Errorf("killed at call %d: %v agents; %+v", n, got, r)
		}
		if killed {
			outcomes[got]++
		}
		if again := one(t, on.objects("", "restore", src)); again["agents"] != 30.0 {
			t.Errorf("again, after call %d: %v", n, again)
		}
	}
	harness.MustCheck(t, db)
	t.Logf("killed at each call: agents %v", outcomes)
}

// TestBackup_KilledAtSyscall kills the command in the same way: what has the name of the copy is the whole copy.
func TestBackup_KilledAtSyscall(t *testing.T) {
	strace, stated := tool(t, "strace"), harness.Build(t, harness.Stated)
	db, dir := harness.File(t), t.TempDir()
	mustMakeAgents(t, db, "agent", 30)
	const calls = "fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2,pwrite64"
	there, absent := 0, 0
	for n, killed := 1, true; killed; n++ {
		dest := filepath.Join(dir, fmt.Sprintf("copy-%d.db", n))
		r := harness.Run(t, harness.Command{Path: strace, Env: []string{"GOMAXPROCS=1"}, Args: []string{
			"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n),
			stated, "backup", dest, "--db", db}})
		killed = r.Code != 0
		if _, err := os.Lstat(dest); errors.Is(err, fs.ErrNotExist) {
			absent++
			if !killed {
				t.Errorf("not killed, and there is no copy: %+v", r)
			}
			continue
		}
		there++
		if got := one(t, cli{t, []string{"--db", dest}}.objects("", "check", "--deep"))["agents"]; got != 30.0 {
			t.Errorf("killed at call %d: the copy has %v agents; %+v", n, got, r)
		}
	}
	t.Logf("killed at each call: %d times there was no copy, %d times a whole one", absent, there)
	if absent == 0 {
		t.Error("no kill came before the copy had its name")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestProgress_OnATerminal: there, and there alone, commands that can take long tell how far they are.
func TestProgress_OnATerminal(t *testing.T) {
	const script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"
	python, stated := tool(t, "python3"), harness.Build(t, harness.Stated)
	db := harness.File(t)
	mustMakeAgents(t, db, "agent", 3000)
	dest := filepath.Join(t.TempDir(), "backup.db")
	for _, c := range []struct{ args, shown, first string }{
		{"check --deep", "\rcheck  rows", "file "},
		{"backup " + dest, "\rbackup  copy   0%", dest + " holds revision 3000"},
		{"restore " + dest, "\rrestore  copy   0%", db + " holds the 3000 agents"},
		{"check --deep --json", "", `{"path":`},
	} {
		args := append([]string{"-c", script, stated}, strings.Fields(c.args)...)
		r := harness.Run(t, harness.Command{Path: python, Args: append(args, "--db", db)})
		shown := strings.Contains(r.Stdout, "%")
		if r.Code != 0 || !strings.Contains(r.Stdout, c.shown) || shown != (c.shown != "") {
			t.Errorf("%s: %+v", c.args, r)
		}
		// The line of progress is written over with spaces, so that what comes then begins on an empty one.
		before, _, ok := strings.Cut(r.Stdout, c.first)
		if !ok || shown && !strings.HasSuffix(before, " \r") {
			t.Errorf("%s prints %q", c.args, r.Stdout)
		}
	}
}

// TestRestore_KeepsTheOwner: a file that root restores for another user is still that user's. It needs root's rights.
func TestRestore_KeepsTheOwner(t *testing.T) {
	db, src := harness.File(t), filepath.Join(t.TempDir(), "src.db")
	mustMakeAgents(t, src, "new", 3)
	mustMakeAgents(t, db, "old", 2)
	if err := errors.Join(os.Remove(db+".owner"), os.Chmod(db, 0o640), os.Chown(db, 65534, 65533)); err != nil {
		t.Fatal(err)
	}
	if r := harness.CLI(t, "restore", src, "--db", db); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	for name, mode := range map[string]os.FileMode{db: 0o640, db + ".owner": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if is := info.Sys().(*syscall.Stat_t); is.Uid != 65534 || is.Gid != 65533 || info.Mode().Perm() != mode {
			t.Errorf("%s: user %d, group %d, mode %v", name, is.Uid, is.Gid, info.Mode())
		}
	}
	harness.Open(t, filepath.Dir(db))
	r := harness.Run(t, harness.Command{Args: []string{"save", "later", "--db", db}, Stdin: strings.NewReader("1"), Nobody: true})
	if r.Code != 0 {
		t.Errorf("the other user: %+v", r)
	}
}
