//go:build system

package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestOrder_Backup: when the command says that there is a copy, its content was synced before it got its name, and the
// name after that.
func TestOrder_Backup(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	mustSave(t, d, "a", "b")
	dest := filepath.Join(t.TempDir(), "copy.db")
	trace := traceOf(t, "backup", dest, "--db", db, "--set", "store.durability=off") // of the store: a copy is always durable
	d.Stop(t)
	for _, problem := range orderOfCopy(trace, dest) {
		t.Error(problem)
	}
	t.Logf("%d calls", len(trace.Calls))
}

// TestBackup_FailedSync: where the sync of the copy fails, or that of its name, nothing is left.
func TestBackup_FailedSync(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	mustSave(t, d, "a", "b")
	defer d.Stop(t)
	dir := t.TempDir()
	for name, files := range map[string][]string{"all": nil, "of the folder": {"-P", dir}} {
		r := harness.Run(t, harness.Command{
			Under: under(os.DevNull, append(files, fast, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO")...),
			Args:  []string{"backup", filepath.Join(dir, "copy.db"), "--db", db},
		})
		left, err := os.ReadDir(dir)
		if r.Code != 1 || !strings.Contains(r.Stderr, dir) || len(left) != 0 || err != nil {
			t.Errorf("%s: %v is left (%v), %+v", name, left, err, r)
		}
	}
}

// TestOrder_Restore is TestOrder_Backup for a restore; and the log of the old file was gone, durably, before the new one got its name: a power
// cut in between must not leave the one beside the other.
func TestOrder_Restore(t *testing.T) {
	src := harness.File(t)
	d := harness.Start(t, src)
	mustSave(t, d, "new")
	d.Stop(t)
	for name, prepare := range map[string]func(db string) error{
		"over a killed daemon's file": func(string) error { return nil },
		"over a log alone":            os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			db := harness.File(t)
			d := harness.Start(t, db)
			mustSave(t, d, "old", "in the log")
			d.Kill()
			if err := prepare(db); err != nil {
				t.Fatal(err)
			}
			trace := traceOf(t, "restore", src, "--db", db, "--set", "store.durability=off")
			for _, problem := range slices.Concat(orderOfCopy(trace, db), orderOfLog(trace, db)) {
				t.Error(problem)
			}
			t.Logf("%d calls", len(trace.Calls))
		})
	}
}

func mustSave(t *testing.T, d *harness.Daemon, ids ...string) {
	t.Helper()
	c := d.Client(t, resp.ClientOptions{})
	for _, id := range ids {
		if _, err := c.Save(guarded(t), id, []byte(`{"n":1}`)); err != nil {
			t.Fatal(err)
		}
	}
}

// traceOf runs a command to its end under strace.
func traceOf(t *testing.T, args ...string) *Trace {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	r := harness.Run(t, harness.Command{
		Under: under(out, fast, "-e", "trace=write,rename,renameat,renameat2,link,linkat,"+broken), Args: args,
	})
	if r.Code != 0 {
		t.Fatalf("%v: %+v", args, r)
	}
	return readTrace(t, out)
}

// orderOfCopy gives what is wrong with how a copy got its name.
func orderOfCopy(trace *Trace, name string) (problems []string) {
	named, from := naming(trace, name)
	if named == nil {
		return []string{"nothing is renamed to " + name}
	}
	var written *Call
	for _, c := range trace.Calls {
		if c.Path == from && (c.Name == "pwrite64" || c.Name == "ftruncate") {
			written = c
		}
	}
	switch {
	case written == nil:
		problems = append(problems, "nothing is written into "+from)
	case syncedBetween(trace, from, written, named) == nil:
		problems = append(problems, fmt.Sprintf("line %d: the copy gets its name, and what was written in line %d is not synced", named.Start, written.Start))
	}
	folder := syncedBetween(trace, filepath.Dir(name), named, nil)
	for _, c := range trace.Calls {
		if isSaying(c) && (folder == nil || folder.End >= c.Start) {
			problems = append(problems, fmt.Sprintf("line %d: it is said to be there, and its name is not synced", c.Start))
		}
	}
	return problems
}

// orderOfLog gives what is wrong with how the files beside a database went away that is replaced.
func orderOfLog(trace *Trace, db string) (problems []string) {
	named, _ := naming(trace, db)
	removed := 0
	for _, c := range trace.Calls {
		file, ok := strings.CutPrefix(pathOfUnlink(c), db+"-")
		if !ok || c.Result != 0 {
			continue
		}
		removed++
		if named == nil || syncedBetween(trace, filepath.Dir(db), c, named) == nil {
			problems = append(problems, fmt.Sprintf("line %d: -%s is removed, and that is not synced before the new file has its name", c.Start, file))
		}
	}
	if removed == 0 {
		problems = append(problems, "no log was removed: this shows nothing")
	}
	return problems
}

// naming gives the call by which a file got its name, and the name that it had.
func naming(trace *Trace, name string) (call *Call, from string) {
	for _, c := range trace.Calls {
		switch {
		case c.Result != 0:
		case c.Name == "rename" && c.Arg(1) == name:
			call, from = c, c.Arg(0)
		case strings.HasPrefix(c.Name, "renameat") && c.Arg(3) == name:
			call, from = c, c.Arg(1)
		}
	}
	return call, from
}

func pathOfUnlink(c *Call) string {
	switch c.Name {
	case "unlink":
		return c.Arg(0)
	case "unlinkat":
		return c.Arg(1)
	}
	return ""
}

// syncedBetween gives the first sync of a file that began when one call had returned, and had returned itself before
// another one began; nil is the end.
func syncedBetween(trace *Trace, path string, after, before *Call) *Call {
	for _, c := range trace.Calls {
		if isSync(c) && c.Path == path && c.Result == 0 && c.Start > after.End && (before == nil || c.End < before.Start) {
			return c
		}
	}
	return nil
}

// TestOrder_CopyChecker: traces of which each step but the syncs is there.
func TestOrder_CopyChecker(t *testing.T) {
	lines := []string{
		`1 pwrite64(3</d/t>, "x", 1, 0) = 1`,
		`1 fsync(3</d/t>) = 0`,
		`1 unlink("/d/a-wal") = 0`,
		`1 fsync(4</d>) = 0`,
		`1 renameat2(AT_FDCWD</>, "/d/t", AT_FDCWD</>, "/d/a", RENAME_NOREPLACE) = 0`,
		`1 fsync(4</d>) = 0`,
		`1 write(1</out>, "done", 4) = 4`,
	}
	for _, without := range []int{-1, 1, 3, 5} {
		kept := slices.Clone(lines)
		if without >= 0 {
			kept = slices.Delete(kept, without, without+1)
		}
		trace, err := ParseTrace(strings.NewReader(strings.Join(kept, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		problems := slices.Concat(orderOfCopy(trace, "/d/a"), orderOfLog(trace, "/d/a"))
		if want := min(without+1, 1); len(problems) != want {
			t.Errorf("without line %d: %q", without, problems)
		}
	}
}
