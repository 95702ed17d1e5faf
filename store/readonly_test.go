package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

func TestOpenReadOnly_PythonFile(t *testing.T) {
	path := pythonFile(t)
	before := mustHash(t, path)
	s, err := store.OpenReadOnly(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := load(t, s, "alice"); err != nil || r.Revision != 1 || r.UpdatedAt.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	if n, err := read(t, s, must(protocol.Count(""))); err != nil || n.Count != 3 {
		t.Errorf("%+v, %v", n, err)
	}
	if r, err := read(t, s, must(protocol.Scan(0, 2))); err != nil || len(r.Entries) != 2 || r.Entries[0].Revision != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := read(t, s, txn(must(protocol.Check("bob", protocol.IfRevision(1))), must(protocol.Stat("bob")))); err != nil || r.Replies[1].Bytes == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	b := batchOf(save("a", "1"))
	_, err = s.Apply(t.Context(), b)
	wantCode(t, err, protocol.CodeReadOnly)
	report := mustCheck(t, path)
	if report.Agents != 3 || report.StoreID != "" || report.SchemaVersion != 0 || len(report.Problems) != 0 {
		t.Errorf("%+v", report)
	}
	mustClose(t, s)
	if mustHash(t, path) != before {
		t.Error("the file was changed")
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside it: %v, %v", entries, err)
	}
}

func TestOpenReadOnly_LiveFile(t *testing.T) {
	path := tempDB(t)
	owner := mustOpen(t, path, impatient())
	mustApply(t, owner, save("a", "1"))
	before := mustHash(t, path+"-wal")
	s, err := store.OpenReadOnly(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	if r, err := load(t, s, "a"); err != nil || r.Revision != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if mustHash(t, path+"-wal") != before {
		t.Error("the log was changed")
	}
	mustApply(t, owner, save("a", "2"))
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "2" {
		t.Errorf("it does not see the owner's change: %+v, %v", r, err)
	}
	_, err = s.Apply(t.Context(), batchOf(save("a", "3")))
	wantCode(t, err, protocol.CodeReadOnly)
}

// TestOpenReadOnly_ClosedFile: a file of ours that nobody has open.
func TestOpenReadOnly_ClosedFile(t *testing.T) {
	path := tempDB(t)
	s, err := store.Open(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, save("a", "1"))
	mustClose(t, s)
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("closing left a %s behind", suffix)
		}
	}
	before := mustHash(t, path)
	if s, err = store.OpenReadOnly(t.Context(), path, impatient()); err != nil {
		t.Fatal(err)
	}
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("%+v, %v", r, err)
	}
	mustClose(t, s)
	if mustHash(t, path) != before {
		t.Error("the file was changed")
	}
}

func TestBackup(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"), save("b", "2"), del("b"))
	dest := filepath.Join(t.TempDir(), "it's a copy.db")
	revision, err := store.Backup(t.Context(), path, dest, impatient())
	if err != nil || revision != 3 {
		t.Fatal(revision, err)
	}
	mustApply(t, s, save("a", "3"))
	if info, err := os.Stat(dest); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	before := mustHash(t, dest)
	_, err = store.Backup(t.Context(), path, dest, impatient())
	wantCode(t, err, protocol.CodeInvalid)
	if mustHash(t, dest) != before {
		t.Error("the copy was overwritten")
	}
	restored := mustOpen(t, dest, impatient())
	if r, err := load(t, restored, "a"); err != nil || string(r.State) != "1" || r.Revision != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := apply1(t, restored, save("c", "1")); err != nil || r.Revision != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	if entries, err := filepath.Glob(filepath.Join(filepath.Dir(dest), "*partial*")); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	_, err = store.Backup(t.Context(), tempDB(t), dest, impatient())
	wantCode(t, err, protocol.CodeInvalid)
}

// TestBackup_Refuses: what is wrong with the name of the copy is said as it is. Nobody is told to remove his database.
func TestBackup_Refuses(t *testing.T) {
	path := tempDB(t)
	mustFill(t, path, "a")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Symlink(filepath.Dir(path), folder); err != nil {
		t.Fatal(err)
	}
	before := mustHash(t, path)
	for name, c := range map[string]struct{ path, dest, says string }{
		"no file":                 {tempDB(t), "copy.db", "does not exist"},
		"no folder":               {path, filepath.Join(t.TempDir(), "no", "copy.db"), "does not exist: create it"},
		"a file for a folder":     {path, filepath.Join(path, "copy.db"), "does not exist: create it"},
		"a folder":                {path, t.TempDir(), "is a folder: name a file in it"},
		"the file itself":         {path, path, "is the file itself"},
		"the file itself, linked": {path, link, "is the file itself"},
		"its log":                 {path, path + "-wal", "belongs to"},
		"its log, linked":         {path, filepath.Join(folder, filepath.Base(path)+"-wal"), "belongs to"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Backup(t.Context(), c.path, c.dest, impatient())
			wantCode(t, err, protocol.CodeInvalid)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "remove") {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	if mustHash(t, path) != before {
		t.Error("the file was changed")
	}
}

// TestOpenReadOnly_AfterCrash: what a crashed owner left in its log is read, and the log stays for the next owner.
func TestOpenReadOnly_AfterCrash(t *testing.T) {
	live := tempDB(t)
	mustApply(t, mustOpen(t, live, impatient()), save("a", "1"))
	path := tempDB(t)
	before := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(live + suffix)
		if err != nil {
			t.Fatal(err)
		}
		before[suffix] = b
		if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.OpenReadOnly(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("%s, %v", r.State, err)
	}
	mustClose(t, s)
	for suffix, was := range before {
		if b, err := os.ReadFile(path + suffix); err != nil || !bytes.Equal(b, was) {
			t.Errorf("%q was changed, %v", suffix, err)
		}
	}
}
