package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// shared is a store whose file somebody else writes too.
type shared struct {
	*testing.T
	s       *store.Store
	outside *sql.DB
	path    string
	highest int64 // the highest revision seen so far
}

func share(t *testing.T) *shared {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	sh := &shared{T: t, s: s, path: path, outside: mustOutsider(t, path)}
	sh.save("a", `{"by":"us"}`)
	sh.save("b", `{"by":"us"}`)
	return sh
}

// save saves through stated; its revision must be fresh.
func (s *shared) save(id, state string) int64 {
	s.Helper()
	r, err := apply1(s.T, s.s, save(id, state))
	if err != nil {
		s.Fatalf("save %s: %v", id, err)
	}
	s.fresh("a save of "+id, r.Revision)
	return r.Revision
}

func (s *shared) fresh(what string, revision int64) {
	s.Helper()
	if revision <= s.highest {
		s.Errorf("%s has revision %d, not above %d", what, revision, s.highest)
	}
	s.highest = max(s.highest, revision)
}

func (s *shared) exec(statement string, args ...any) {
	s.Helper()
	mustExec(s.T, s.outside, statement, args...)
}

// changed says that an outsider has changed the agent to state: it has a fresh revision, and conditions see it.
func (s *shared) changed(id, state string) {
	s.Helper()
	before := s.highest
	r, err := load(s.T, s.s, id)
	if err != nil || string(r.State) != state {
		s.Fatalf("load %s: %q, %v; want %q", id, r.State, err, state)
	}
	s.fresh("the outsider's "+id, r.Revision)
	if counter := mustQuery[int64](s.T, s.outside, "SELECT revision FROM stated_meta"); r.Revision > counter {
		s.Errorf("revision %d is above the counter %d", r.Revision, counter)
	}
	for _, cond := range []protocol.Condition{protocol.IfRevision(max(before, 1)), protocol.IfAbsent()} {
		_, err := apply1(s.T, s.s, save(id, "0", cond))
		if current, ok := protocol.CurrentRevision(err); !ok || current != r.Revision {
			s.Errorf("save of %s if %v: %v", id, cond, err)
		}
	}
	if _, err := apply1(s.T, s.s, txn(must(protocol.Check(id, protocol.IfRevision(r.Revision))))); err != nil {
		s.Error(err)
	}
}

// goesOn says that the daemon still works, for ids old and new.
func (s *shared) goesOn() {
	s.Helper()
	for _, id := range []string{"a", "b", "fresh"} {
		rev := s.save(id, `"after"`)
		if r, err := load(s.T, s.s, id); err != nil || r.Revision != rev || string(r.State) != `"after"` {
			s.Errorf("load %s: %d %q, %v; want revision %d", id, r.Revision, r.State, err, rev)
		}
	}
	n, err := read(s.T, s.s, must(protocol.Count("")))
	if err != nil || n.Count < 3 {
		s.Errorf("count: %d, %v", n.Count, err)
	}
	mustBeSound(s.T, s.path)
}

// TestOutsiders_Changes: every statement that changes an agent gives it a fresh revision, without a checksum.
func TestOutsiders_Changes(t *testing.T) {
	const insert = "INSERT INTO agent_state (agent_id, state_json) VALUES "
	for name, test := range map[string]struct{ sql, id, state string }{
		"insert":                    {insert + "('n', '1')", "n", "1"},
		"python's replace of ours":  {"INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES ('a', '1', CURRENT_TIMESTAMP)", "a", "1"},
		"replace with triggers on":  {"PRAGMA recursive_triggers=ON; REPLACE INTO agent_state (agent_id, state_json) VALUES ('a', '1')", "a", "1"},
		"upsert":                    {insert + "('a', '1') ON CONFLICT (agent_id) DO UPDATE SET state_json = excluded.state_json", "a", "1"},
		"update or replace":         {"UPDATE OR REPLACE agent_state SET state_json = '1' WHERE agent_id = 'a'", "a", "1"},
		"update of state":           {"UPDATE agent_state SET state_json = '1' WHERE agent_id = 'a'", "a", "1"},
		"update, triggers on":       {"PRAGMA recursive_triggers=ON; UPDATE agent_state SET state_json = '1' WHERE agent_id = 'a'", "a", "1"},
		"update to the same":        {"UPDATE agent_state SET state_json = state_json WHERE agent_id = 'a'", "a", `{"by":"us"}`},
		"update of id":              {"UPDATE agent_state SET agent_id = 'z' WHERE agent_id = 'a'", "z", `{"by":"us"}`},
		"update of id onto another": {"UPDATE OR REPLACE agent_state SET agent_id = 'b' WHERE agent_id = 'a'", "b", `{"by":"us"}`},
		"delete and insert":         {"DELETE FROM agent_state; " + insert + "('a', '1')", "a", "1"},
		"replace of all columns":    {"REPLACE INTO agent_state SELECT agent_id, '1', updated_at, revision, checksum FROM agent_state", "a", "1"},
		"old revision inserted":     {"DELETE FROM agent_state WHERE agent_id = 'a'; INSERT INTO agent_state VALUES ('a', '1', NULL, 1, 77)", "a", "1"},
		"old revision updated":      {"UPDATE agent_state SET state_json = '1', revision = 1, checksum = 77 WHERE agent_id = 'a'", "a", "1"},
		"our row copied":            {"INSERT INTO agent_state SELECT 'n', state_json, updated_at, revision, checksum FROM agent_state WHERE agent_id = 'b'", "n", `{"by":"us"}`},
		"high revision inserted":    {"INSERT INTO agent_state VALUES ('n', '1', NULL, 1000, NULL)", "n", "1"},
		"high revision updated":     {"UPDATE agent_state SET state_json = '1', revision = 1000 WHERE agent_id = 'a'", "a", "1"},
		"revision to NULL":          {"UPDATE agent_state SET state_json = '1', revision = NULL WHERE agent_id = 'a'", "a", "1"},
		"in a longer transaction":   {"BEGIN; " + insert + "('n', '0'); UPDATE agent_state SET state_json = '1' WHERE agent_id = 'n'; COMMIT", "n", "1"},
		"number":                    {insert + "('n', 17)", "n", "17"},
		"blob":                      {insert + "('n', x'007bff')", "n", "\x00{\xff"},
		"what Python calls JSON":    {insert + "('n', 'NaN')", "n", "NaN"},
		"empty":                     {insert + "('n', '')", "n", ""},
		"empty blob":                {insert + "('n', x'')", "n", ""},
		"NUL inside":                {insert + "('n', CAST(x'610062' AS TEXT))", "n", "a\x00b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := share(t)
			s.exec(test.sql)
			s.changed(test.id, test.state)
			if n := mustQuery[sql.NullInt64](t, s.outside, "SELECT checksum FROM agent_state WHERE agent_id = ?", test.id); n.Valid {
				t.Errorf("the checksum is still there: %d", n.Int64)
			}
			s.goesOn()
			if s.s.Info().OutsideWrites == 0 {
				t.Error("the outsider was not noticed")
			}
		})
	}
}

func TestOutsiders_Deletes(t *testing.T) {
	s := share(t)
	s.exec(pyDelete, "a")
	_, err := load(t, s.s, "a")
	wantCode(t, err, protocol.CodeNotFound)
	_, err = apply1(t, s.s, save("a", "1", protocol.IfRevision(1)))
	if current, ok := protocol.CurrentRevision(err); !ok || current != 0 {
		t.Errorf("a condition on what an outsider deleted: %v", err)
	}
	s.save("a", "1")
	s.exec(pyClear)
	if n, err := read(t, s.s, must(protocol.Count(""))); err != nil || n.Count != 0 {
		t.Errorf("count: %d, %v", n.Count, err)
	}
	s.goesOn()
}

// TestOutsiders_OddIDs: rows that stated has no name for are left out and counted, and stop nobody.
func TestOutsiders_OddIDs(t *testing.T) {
	s := share(t)
	odd := []any{nil, nil, []byte("blob"), "", "control\x01", "invalid \xff", string(make([]byte, 600)) + "long"}
	for _, id := range odd {
		s.exec(pySave, id, "1")
	}
	s.exec("UPDATE agent_state SET state_json = '2' WHERE agent_id IS NULL")
	s.exec("INSERT INTO agent_state (agent_id, state_json) VALUES (12, '1')") // affinity makes it text
	page, err := read(t, s.s, must(protocol.List("", "", 0)))
	if err != nil || fmt.Sprint(idsOf(page.Entries)) != "[12 a b]" {
		t.Errorf("list: %v, %v", idsOf(page.Entries), err)
	}
	if got := s.s.Info().Unlisted; got != 4 { // a list looks at text alone
		t.Errorf("the list has left out %d", got)
	}
	page, err = read(t, s.s, must(protocol.Scan(0, 100)))
	if err != nil || len(page.Entries) != 3 || page.Count != 0 {
		t.Errorf("scan: %v, next %d, %v", idsOf(page.Entries), page.Count, err)
	}
	for range 4 { // more than there are read connections
		if _, err := load(t, s.s, "a"); err != nil {
			t.Error(err)
		}
	}
	if got := s.s.Info().Unlisted; got != 4+int64(len(odd)) {
		t.Errorf("list and scan have left out %d", got)
	}
	report := mustCheck(t, s.path)
	if report.OddIDs != int64(len(odd)) || report.Agents != int64(len(odd)+3) || len(report.Problems) != 0 {
		t.Errorf("check: %+v", report)
	}
	// Every row got a revision of its own, those without an id too.
	if n := mustQuery[int](t, s.outside, "SELECT count(DISTINCT revision) FROM agent_state"); n != int(report.Agents) {
		t.Errorf("%d revisions for %d rows", n, report.Agents)
	}
	s.fresh("the last odd row", mustQuery[int64](t, s.outside, "SELECT max(revision) FROM agent_state"))
	s.goesOn()
	if r, err := apply1(t, s.s, protocol.Clear()); err != nil || r.Count != report.Agents+1 {
		t.Errorf("clear: %d, %v", r.Count, err)
	}
}

func idsOf(entries []protocol.Entry) (ids []string) {
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

// TestOutsiders_Revisions: somebody writes into our own columns.
func TestOutsiders_Revisions(t *testing.T) {
	for name, test := range map[string]struct {
		sql      string
		corrupt  bool // on load
		reported bool // by a deep check
	}{
		"set back":           {"UPDATE agent_state SET revision = 1 WHERE agent_id = 'b'", true, true},
		"set ahead":          {"UPDATE agent_state SET revision = 1000 WHERE agent_id = 'b'", true, true},
		"set to text":        {"UPDATE agent_state SET revision = 'x' WHERE agent_id = 'b'", true, true},
		"set to a blob":      {"UPDATE agent_state SET revision = x'ff' WHERE agent_id = 'b'", true, true},
		"set to a fraction":  {"UPDATE agent_state SET revision = 1.5 WHERE agent_id = 'b'", true, true},
		"set below zero":     {"UPDATE agent_state SET revision = -5 WHERE agent_id = 'b'", true, true},
		"set to NULL":        {"UPDATE agent_state SET revision = NULL WHERE agent_id = 'b'", true, true},
		"checksum set":       {"UPDATE agent_state SET checksum = 1 WHERE agent_id = 'b'", true, true},
		"checksum to text":   {"UPDATE agent_state SET checksum = 'x' WHERE agent_id = 'b'", true, true},
		"checksum to NULL":   {"UPDATE agent_state SET checksum = NULL WHERE agent_id = 'b'", false, false},
		"ahead, no checksum": {"UPDATE agent_state SET revision = 1000, checksum = NULL WHERE agent_id = 'b'", true, true},
		"text, no checksum":  {"UPDATE agent_state SET revision = 'x', checksum = NULL WHERE agent_id = 'b'", true, true},
		"counter set back":   {"UPDATE stated_meta SET revision = 0", false, true},
		"counter set ahead":  {"UPDATE stated_meta SET revision = 5000", false, false},
		"counter below zero": {"UPDATE stated_meta SET revision = -9", false, true},
		"counter to text":    {"UPDATE stated_meta SET revision = '3'", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := share(t)
			s.exec(test.sql)
			r, err := load(t, s.s, "b")
			if got := errors.Is(err, protocol.CodeCorrupt); got != test.corrupt {
				t.Errorf("load: %v, %v", r, err)
			}
			if got := len(mustCheck(t, s.path).Problems) > 0; got != test.reported {
				t.Errorf("check reports it: %v", got)
			}
			if !test.reported {
				s.highest = max(s.highest, r.Revision)
			}
			s.goesOn() // saving heals
		})
	}
}

// TestOutsiders_ImpossibleRevisions would take the counter out of its range.
func TestOutsiders_ImpossibleRevisions(t *testing.T) {
	s := share(t)
	s.exec("UPDATE agent_state SET revision = ? WHERE agent_id = 'b'", int64(math.MaxInt64))
	replies := mustApply(t, s.s, save("a", "1"), save("b", "1"), save("c", "1"))
	if replies[0].Err != nil || replies[2].Err != nil {
		t.Errorf("neighbours: %v", replies)
	}
	wantCode(t, replies[1].Err, protocol.CodeCorrupt)
	if r, err := apply1(t, s.s, del("b")); err != nil || !r.Found {
		t.Errorf("delete: %v, %v", r, err)
	}
	s.exec("UPDATE stated_meta SET revision = ?", int64(math.MaxInt64))
	_, err := s.s.Apply(t.Context(), batchOf(save("a", "2")))
	wantCode(t, err, protocol.CodeCorrupt)
	s.exec("UPDATE stated_meta SET revision = 10")
	mustRecover(t, s.s)
	s.goesOn()
}
