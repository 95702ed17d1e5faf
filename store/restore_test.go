package store_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// gap is how far a restored file's counter is ahead.
const gap = 1 << 32

// mustFill makes a file of stated that holds these agents, saved in the order of their ids, and closes it.
func mustFill(t *testing.T, path string, agents ...string) {
	t.Helper()
	s, err := store.Open(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range agents {
		mustApply(t, s, save(id, fmt.Sprintf("%q", "the state of "+id)))
	}
	mustClose(t, s)
}

func mustBackup(t *testing.T, path string) string {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "backup.db")
	if _, err := store.Backup(t.Context(), path, dest, impatient()); err != nil {
		t.Fatal(err)
	}
	return dest
}

func mustRestore(t *testing.T, src, path string) *store.Restored {
	t.Helper()
	r, err := store.Restore(t.Context(), src, path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantBeside expects exactly these files in the folder of path.
func wantBeside(t *testing.T, path string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range must(os.ReadDir(filepath.Dir(path))) {
		got = append(got, e.Name())
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("in the folder: %v, want %v", got, want)
	}
}

func idsIn(t *testing.T, path string) string {
	t.Helper()
	return strings.Join(slices.Sorted(maps.Keys(agentsOfFile(t, path))), " ")
}

func TestRestore(t *testing.T) {
	path := tempDB(t)
	mustFill(t, path, "a", "b")
	backup := mustBackup(t, path)
	source := mustHash(t, backup)
	want := agentsOfFile(t, path)
	mustFill(t, path, "b", "c", "d", "e")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	old := mustCheck(t, path)

	r := mustRestore(t, backup, path)
	wantBeside(t, backup, "backup.db")
	wantBeside(t, path, "agents.db", "agents.db.owner")
	if diff := cmp.Diff(want, agentsOfFile(t, path)); diff != "" {
		t.Error(diff)
	}
	report := mustCheck(t, path)
	if r.StoreID == old.StoreID || r.StoreID == mustCheck(t, backup).StoreID || report.StoreID != r.StoreID {
		t.Errorf("store id %s; it was %s, the file says %s", r.StoreID, old.StoreID, report.StoreID)
	}
	if old.Revision != 6 || r.Revision != 6+gap || report.Revision != r.Revision || r.Agents != 2 || r.Path != path {
		t.Errorf("%+v, was %+v, is %+v", r, old, report)
	}
	if mode := must(os.Stat(path)).Mode().Perm(); mode != 0o640 {
		t.Errorf("mode %v", mode)
	}
	if mustHash(t, backup) != source {
		t.Error("the backup was changed")
	}
	if text := string(must(os.ReadFile(path + ".owner"))); !strings.HasSuffix(text, "\n"+r.StoreID+"\n") {
		t.Errorf("the owner file says %q", text)
	}
	s := mustOpen(t, path, impatient())
	if r, err := apply1(t, s, save("a", "2", protocol.IfRevision(want["a"].Revision))); err != nil || r.Revision != 7+gap {
		t.Errorf("it goes on with %+v, %v", r, err)
	}
	if n := mustQuery[string](t, mustOutsider(t, path), "PRAGMA journal_mode"); n != "wal" {
		t.Errorf("journal mode %s", n)
	}
}

func TestRestore_Counter(t *testing.T) {
	for name, c := range map[string]struct {
		src, old []string
		want     int64
	}{
		"the backup is ahead":   {[]string{"a", "b", "c"}, []string{"a"}, 3 + gap},
		"the old file is ahead": {[]string{"a"}, []string{"a", "b", "c", "d"}, 4 + gap},
		"no old file":           {[]string{"a", "b"}, nil, 2 + gap},
	} {
		t.Run(name, func(t *testing.T) {
			src, path := tempDB(t), tempDB(t)
			mustFill(t, src, c.src...)
			if c.old != nil {
				mustFill(t, path, c.old...)
			}
			if r := mustRestore(t, src, path); r.Revision != c.want {
				t.Errorf("counter %d, want %d", r.Revision, c.want)
			}
			if r := mustRestore(t, src, path); r.Revision != c.want+gap {
				t.Errorf("the second time: counter %d, want %d", r.Revision, c.want+gap)
			}
			mustBeSound(t, path)
			if mode := must(os.Stat(path)).Mode().Perm(); mode != 0o600 {
				t.Errorf("mode %v", mode)
			}
		})
	}
}

// TestRestore_Sources: every file that can be opened can be restored.
func TestRestore_Sources(t *testing.T) {
	for name, old := range oldFiles {
		t.Run(name, func(t *testing.T) {
			src, path := old.make(t), tempDB(t)
			before := mustHash(t, src)
			if r := mustRestore(t, src, path); r.Revision != old.counter+gap || r.Agents != old.rows {
				t.Errorf("%+v", r)
			}
			if mustHash(t, src) != before {
				t.Error("the source was changed")
			}
			goesOn(t, path, old.agents(), old.counter+gap, old.rows)
		})
	}
	t.Run("live", func(t *testing.T) { // with its changes still in the log
		src, path := tempDB(t), tempDB(t)
		s := mustOpen(t, src, impatient())
		mustApply(t, s, save("a", "1"))
		mustRestore(t, src, path)
		if got := idsIn(t, path); got != "a" {
			t.Errorf("agents %s", got)
		}
		mustApply(t, s, save("b", "1"))
	})
	t.Run("left by a crash", func(t *testing.T) {
		src, path := crashed(t, "a", "b"), tempDB(t)
		mustRestore(t, src, path)
		if got := idsIn(t, path); got != "a b" {
			t.Errorf("agents %s", got)
		}
	})
}

// crashed makes a file whose last changes are in the log alone, as a program leaves it that was killed.
func crashed(t *testing.T, agents ...string) string {
	t.Helper()
	live, path := tempDB(t), tempDB(t)
	s := mustOpen(t, live, impatient())
	for _, id := range agents {
		mustApply(t, s, save(id, "1"))
	}
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(path+suffix, must(os.ReadFile(live+suffix)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestRestore_StaleLog: what lies there as a log, a shared memory or a journal is not taken for that of the new file.
func TestRestore_StaleLog(t *testing.T) {
	journaled := func(t *testing.T) string { // a rollback journal that is hot
		live, path := pythonFile(t), tempDB(t)
		outside := mustOutsider(t, live)
		mustExec(t, outside, "PRAGMA cache_spill = 1; PRAGMA cache_size = 1; BEGIN; UPDATE agent_state SET state_json = '\"never committed\"'")
		mustExec(t, outside, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
			INSERT INTO agent_state (agent_id, state_json) SELECT 'never' || i, '1' FROM n`)
		for _, suffix := range []string{"", "-journal"} {
			if err := os.WriteFile(path+suffix, must(os.ReadFile(live+suffix)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for name, make := range map[string]func(t *testing.T) string{
		"of the old file": func(t *testing.T) string { return crashed(t, "x", "y", "z") },
		"of no file": func(t *testing.T) string {
			path := crashed(t, "x", "y", "z")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			return path
		},
		"of another file": func(t *testing.T) string {
			path, other := tempDB(t), crashed(t, "x", "y", "z")
			mustFill(t, path, "old")
			return path + "\x00" + other
		},
		"garbage": func(t *testing.T) string {
			path := crashed(t, "x")
			for _, suffix := range []string{"-wal", "-shm"} {
				if err := os.WriteFile(path+suffix, []byte(strings.Repeat("garbage", 10000)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return path
		},
		"hot journal": journaled,
		"journal of no file": func(t *testing.T) string {
			path := journaled(t)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			return path
		},
	} {
		t.Run(name, func(t *testing.T) {
			src := tempDB(t)
			mustFill(t, src, "a", "b")
			path, other, ok := strings.Cut(make(t), "\x00")
			if ok {
				if err := os.Rename(other+"-wal", path+"-wal"); err != nil {
					t.Fatal(err)
				}
			}
			mustRestore(t, src, path)
			wantBeside(t, path, "agents.db", "agents.db.owner")
			if got := idsIn(t, path); got != "a b" {
				t.Errorf("agents %s", got)
			}
			mustBeSound(t, path)
		})
	}
}

// TestRestore_Killed stops after each of its steps. There is the old file or the new one, whole, and to restore again
// goes through.
func TestRestore_Killed(t *testing.T) {
	src := tempDB(t)
	mustFill(t, src, "a", "b")
	for name, make := range map[string]func(t *testing.T) (path, agents string){
		"over a file in good order": func(t *testing.T) (string, string) {
			path := tempDB(t)
			mustFill(t, path, "x", "y")
			return path, "x y"
		},
		"over a crashed file": func(t *testing.T) (string, string) { return crashed(t, "x", "y", "z"), "x y z" },
		"over a python file":  func(t *testing.T) (string, string) { return pythonFile(t), "alice bob zoë ☕" },
		"over nothing":        func(t *testing.T) (string, string) { return tempDB(t), "" },
		"over a log alone": func(t *testing.T) (string, string) {
			path := crashed(t, "x", "y", "z")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			return path, ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			was := map[string]int{}
			for n, done := 0, false; !done; n++ {
				path, old := make(t)
				var err error
				if done, err = store.RestoreSteps(t.Context(), src, path, impatient(),
					func(step, _ int) bool { return step < n }); err != nil {
					t.Fatalf("%d steps: %v", n, err)
				}
				got := ""
				if _, err := os.Stat(path); err == nil {
					got = idsIn(t, path)
					mustBeSound(t, path)
				}
				if got != old && got != "a b" {
					t.Errorf("after %d steps there is %q", n, got)
				}
				was[got]++
				mustRestore(t, src, path)
				wantBeside(t, path, "agents.db", "agents.db.owner")
				if got := idsIn(t, path); got != "a b" {
					t.Errorf("after %d steps and a second run there is %q", n, got)
				}
				mustBeSound(t, path)
			}
			if was["a b"] != 3 { // after the rename and after each step behind it
				t.Errorf("seen: %v", was)
			}
			t.Logf("stopped after each step: %v", was)
		})
	}
}

// TestRestore_OverDamage: a file that stated had is replaced however damaged it is.
func TestRestore_OverDamage(t *testing.T) {
	src := tempDB(t)
	mustFill(t, src, "a")
	for name, damage := range map[string]func(content []byte) []byte{
		"empty":        func([]byte) []byte { return nil },
		"short":        func([]byte) []byte { return []byte("short") },
		"no header":    func(c []byte) []byte { copy(c, strings.Repeat("x", 100)); return c },
		"no schema":    func(c []byte) []byte { copy(c[100:], strings.Repeat("\xff", 1000)); return c },
		"half":         func(c []byte) []byte { return c[:len(c)/2] },
		"random pages": func(c []byte) []byte { copy(c[4096:], strings.Repeat("\xfe", len(c)-4096)); return c },
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			mustFill(t, path, "x", "y", "z")
			if err := os.WriteFile(path, damage(must(os.ReadFile(path))), 0o600); err != nil {
				t.Fatal(err)
			}
			r := mustRestore(t, src, path)
			if r.Revision != 1+gap && r.Revision != 3+gap {
				t.Errorf("counter %d", r.Revision)
			}
			if got := idsIn(t, path); got != "a" {
				t.Errorf("agents %s", got)
			}
			mustBeSound(t, path)
		})
	}
}

func TestRestore_ThroughASymlink(t *testing.T) {
	src, path := tempDB(t), tempDB(t)
	mustFill(t, src, "a")
	mustFill(t, path, "x")
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if r := mustRestore(t, src, link); r.Path != path {
		t.Errorf("%+v", r)
	}
	if info := must(os.Lstat(link)); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is no longer one")
	}
	if got := idsIn(t, path); got != "a" {
		t.Errorf("agents %s", got)
	}
}

// TestProgress: the steps are told in their order, and none goes back.
func TestProgress(t *testing.T) {
	src, path := tempDB(t), tempDB(t)
	mustFill(t, src, "a")
	mustMake(t, src, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		INSERT INTO agent_state (agent_id, state_json) SELECT 'agent' || i, '{"n":' || i || '}' FROM n`)
	var names []string
	var last store.Step
	o := impatient()
	o.Progress = func(s store.Step) {
		if s.Name != last.Name {
			names = append(names, s.Name)
			last = store.Step{}
		}
		if s.Done < last.Done || s.Total > 0 && s.Done > s.Total || s.Bytes != (s.Name == "copy") {
			t.Errorf("%+v after %+v", s, last)
		}
		last = s
	}
	if _, err := store.Restore(t.Context(), src, path, o); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "copy integrity rows" || last.Total != 5001 || last.Done == 0 {
		t.Errorf("steps %q, last %+v", got, last)
	}
	names = nil
	begun := time.Now()
	if _, err := store.Check(t.Context(), path, o, false); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "integrity rows" {
		t.Errorf("steps %q in %v", got, time.Since(begun))
	}
}
