package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// pythonFile makes a file as the Python project does: rollback journal, its schema, its rows.
func pythonFile(t *testing.T, more ...string) string {
	t.Helper()
	script, err := os.ReadFile("testdata/python.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := tempDB(t)
	mustMake(t, path, append([]string{string(script)}, more...)...)
	return path
}

func TestAdopt(t *testing.T) {
	path := pythonFile(t)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path, impatient())
	r, err := load(t, s, "alice")
	if err != nil || r.Revision != 1 || string(r.State) != `{"turn": 1, "mood": "calm"}` || r.UpdatedAt.Unix() != 1714979289 {
		t.Errorf("alice: %+v, %v", r, err)
	}
	r, err = load(t, s, "zoë ☕")
	if err != nil || r.Revision != 1 || string(r.State) != `{"score": NaN}` || !r.UpdatedAt.IsZero() {
		t.Errorf("zoë: %+v, %v", r, err)
	}
	page, err := read(t, s, must(protocol.List("", "", 0)))
	if err != nil || strings.Join(idsOf(page.Entries), ",") != "alice,bob,zoë ☕" {
		t.Errorf("list: %v, %v", page, err)
	}
	if r, err := apply1(t, s, save("bob", `{"turn":3}`, protocol.IfRevision(1))); err != nil || r.Revision != 2 || !r.Found {
		t.Errorf("the first change: %+v, %v", r, err)
	}

	outside := mustOutsider(t, path)
	for _, id := range []string{"alice", "zoë ☕"} {
		if n := mustQuery[int](t, outside, "SELECT count(*) FROM agent_state WHERE agent_id = ? AND revision IS NULL AND checksum IS NULL", id); n != 1 {
			t.Errorf("the row of %s was rewritten", id)
		}
	}
	if v := mustQuery[int](t, outside, "PRAGMA user_version"); v != 7 {
		t.Errorf("user_version is %d", v)
	}
	if v := mustQuery[int](t, outside, "PRAGMA application_id"); v != 0 {
		t.Errorf("application_id is %d", v)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	// The Python project goes on.
	mustExec(t, outside, pySave, "alice", `{"turn": 2}`)
	if got := mustQuery[string](t, outside, pyLoad, "bob"); got != `{"turn":3}` {
		t.Errorf("python loads %s", got)
	}
	if r, err := load(t, s, "alice"); err != nil || r.Revision != 3 || string(r.State) != `{"turn": 2}` {
		t.Errorf("alice: %+v, %v", r, err)
	}
	mustExec(t, outside, pyDelete, "bob")
	if got := mustQuery[string](t, outside, pyList); got != "alice" {
		t.Errorf("python lists %s first", got)
	}
	mustExec(t, outside, pyClear)
	if r, err := apply1(t, s, save("bob", "1")); err != nil || r.Revision != 4 || r.Found {
		t.Errorf("after python's clear: %+v, %v", r, err)
	}
}

// TestAdopt_TouchesNoRow: adoption takes the same short time whatever the size, since it changes the schema alone.
func TestAdopt_TouchesNoRow(t *testing.T) {
	path := pythonFile(t, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
		INSERT INTO agent_state (agent_id, state_json) SELECT 'agent' || i, '{"n":' || i || '}' FROM n`)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path, impatient())
	if wal := s.Info().WALBytes; wal > 32*4096 {
		t.Errorf("adopting a file of %d bytes wrote %d", before.Size(), wal)
	}
	if n, err := read(t, s, must(protocol.Count(""))); err != nil || n.Count != 20003 {
		t.Errorf("count %d, %v", n.Count, err)
	}
	outside := mustOutsider(t, path)
	if n := mustQuery[int](t, outside, "SELECT count(*) FROM agent_state WHERE revision IS NOT NULL OR checksum IS NOT NULL"); n != 0 {
		t.Errorf("%d rows were rewritten", n)
	}
}

func TestAdopt_WaitsForALock(t *testing.T) {
	for _, begin := range []string{"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"} {
		path, c := pythonFile(t), &clock{}
		outside := mustOutsider(t, path)
		mustExec(t, outside, begin)
		c.onSleep = func(n int) {
			if n == 2 {
				mustExec(t, outside, "INSERT INTO agent_state (agent_id, state_json) VALUES ('late', '1'); COMMIT")
			}
		}
		s := mustOpen(t, path, c.options())
		if r, err := load(t, s, "late"); err != nil || r.Revision != 1 || len(c.slept) != 2 {
			t.Errorf("%s: %+v, %v, slept %v", begin, r, err, c.slept)
		}
	}
	// A lock that stays is LOCKED, and the file is as before.
	path, c := pythonFile(t), &clock{}
	before := mustHash(t, path)
	outside := mustOutsider(t, path)
	mustExec(t, outside, "BEGIN IMMEDIATE")
	_, err := store.Open(t.Context(), path, c.options())
	wantCode(t, err, protocol.CodeLocked)
	if err := outside.Close(); err != nil {
		t.Fatal(err)
	}
	if mustHash(t, path) != before {
		t.Error("the file was changed")
	}
	mustOpen(t, path, impatient())
}

// TestTakeOut: the three statements of the README take stated out, and the file can be adopted again.
func TestTakeOut(t *testing.T) {
	path := pythonFile(t)
	s, err := store.Open(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, save("alice", "2"), save("new", "1"))
	id := s.Info().StoreID
	mustClose(t, s)

	mustMake(t, path, "DROP TABLE stated_meta", "DROP TRIGGER stated_insert", "DROP TRIGGER stated_update",
		"INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES ('alice', '3', CURRENT_TIMESTAMP)",
		"UPDATE agent_state SET state_json = '4' WHERE agent_id = 'new'")
	s = mustOpen(t, path, impatient())
	for agent, state := range map[string]string{"alice": "3", "new": "4"} {
		if r, err := load(t, s, agent); err != nil || r.Revision != 1 || string(r.State) != state {
			t.Errorf("%s: %+v, %v", agent, r, err)
		}
	}
	if s.Info().StoreID == id {
		t.Error("the new history has the old store id")
	}
	if r, err := apply1(t, s, save("bob", "1")); err != nil || r.Revision != 2 {
		t.Errorf("the first change: %+v, %v", r, err)
	}
}

// TestTakeOut_Partly: only some of the three statements.
func TestTakeOut_Partly(t *testing.T) {
	path := pythonFile(t)
	s, err := store.Open(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, save("alice", "2"))
	mustClose(t, s)
	mustMake(t, path, "DROP TABLE stated_meta")
	s = mustOpen(t, path, impatient())
	outside := mustOutsider(t, path)
	mustExec(t, outside, pySave, "alice", "3")
	if r, err := load(t, s, "alice"); err != nil || r.Revision != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := mustQuery[sql.NullInt64](t, outside, "SELECT checksum FROM agent_state WHERE agent_id = 'alice'"); n.Valid {
		t.Error("the old checksum is still there")
	}
}

// TestOpen_HotJournal: a program crashed in the middle of a transaction that had spilled into the file. The first
// connection that may write rolls it back; then the file opens as any other.
func TestOpen_HotJournal(t *testing.T) {
	for what, open := range map[string]func(context.Context, string, store.Options) (*store.Store, error){
		"Open": store.Open, "OpenReadOnly": store.OpenReadOnly,
	} {
		t.Run(what, func(t *testing.T) {
			crashed := tempDB(t)
			mustMake(t, crashed, pyCreate+"; INSERT INTO agent_state (agent_id, state_json) VALUES ('a', '1')")
			db := mustOutsider(t, crashed)
			db.SetMaxOpenConns(1)
			for _, sql := range []string{"PRAGMA cache_size=5", "BEGIN"} {
				if _, err := db.Exec(sql); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 500 {
				if _, err := db.Exec(pySave, fmt.Sprint("b", i), `"`+strings.Repeat("x", 2000)+`"`); err != nil {
					t.Fatal(err)
				}
			}
			path := tempDB(t) // as the crash would leave it
			for _, suffix := range []string{"", "-journal"} {
				b, err := os.ReadFile(crashed + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, err := open(t.Context(), path, impatient())
			if err != nil {
				t.Fatal(err)
			}
			defer mustClose(t, s)
			if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
				t.Errorf("%s, %v", r.State, err)
			}
			if _, err := load(t, s, "b0"); protocol.CodeOf(err) != protocol.CodeNotFound {
				t.Errorf("what was not committed is there: %v", err)
			}
		})
	}
}
