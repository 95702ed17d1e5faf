package store_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// makeV1 wrote testdata/v1.db: go test ./store -run TestVersion1_Make -make-v1 with schema version 1. The file is never
// made anew: it stands for those that are out there.
var makeV1 = flag.Bool("make-v1", false, "write testdata/v1.db")

const v1Time = "2026-01-02 03:04:05.678"

// v1Agents is what testdata/v1.db holds.
func v1Agents() map[string]agent {
	long := `"` + strings.Repeat("0123456789", 1000) + `"`
	return map[string]agent{
		"alice":  {`{"turn":2,"mood":"calm"}`, 3},
		"dave":   {`{"by": "an outsider"}`, 6},
		"long":   {long, 5},
		"zoë ☕":  {` {"spaces" : "as they came"} `, 8},
		"edited": {`{"by": "an outsider, too"}`, 9},
	}
}

const v1Counter = 10

type agent struct {
	State    string
	Revision int64
}

// agentsOf gives everything that is in a store.
func agentsOf(t *testing.T, s *store.Store) map[string]agent {
	t.Helper()
	page, err := read(t, s, must(protocol.List("", "", 0)))
	if err != nil || page.Next != "" {
		t.Fatal(page.Next, err)
	}
	all := map[string]agent{}
	for _, e := range page.Entries {
		r, err := load(t, s, e.ID)
		if err != nil {
			t.Errorf("%s: %v", e.ID, err)
		}
		all[e.ID] = agent{string(r.State), r.Revision}
	}
	return all
}

func TestVersion1_Make(t *testing.T) {
	path := tempDB(t)
	o := impatient()
	o.Now = func() time.Time { return must(time.Parse("2006-01-02 15:04:05.000", v1Time)) }
	s, err := store.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	want := v1Agents()
	mustApply(t, s, save("alice", `{"turn":1}`), save("bob", `{"gone":true}`), save("alice", want["alice"].State))
	mustApply(t, s, del("bob"))
	mustApply(t, s, save("long", want["long"].State))
	outside := mustOutsider(t, path)
	mustExec(t, outside, "INSERT INTO agent_state (agent_id, state_json, updated_at) VALUES ('dave', ?, ?)", want["dave"].State, v1Time)
	mustApply(t, s, save("edited", "0"), save("zoë ☕", want["zoë ☕"].State))
	mustExec(t, outside, "UPDATE agent_state SET state_json = ? WHERE agent_id = 'edited'", want["edited"].State)
	mustExec(t, outside, "INSERT INTO agent_state (agent_id, state_json, updated_at) VALUES (NULL, '\"odd\"', ?)", v1Time)
	if diff := cmp.Diff(want, agentsOf(t, s)); diff != "" {
		t.Error(diff)
	}
	if err := outside.Close(); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
	mustBeSound(t, path)
	if *makeV1 {
		if store.SchemaVersion() != 1 {
			t.Fatal("this program would write another version")
		}
		if err := os.WriteFile("testdata/v1.db", must(os.ReadFile(path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// kept gives a way to copies of a file that is kept in testdata.
func kept(name string) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		path := tempDB(t)
		if err := os.WriteFile(path, must(os.ReadFile(filepath.Join("testdata", name))), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// pythonAgents is what testdata/python.sql makes, and testdata/python.db holds.
func pythonAgents() map[string]agent {
	return map[string]agent{
		"alice": {`{"turn": 1, "mood": "calm"}`, 1},
		"bob":   {`{"turn": 2, "notes": ["caf\u00e9", "it's"]}`, 1},
		"zoë ☕": {`{"score": NaN}`, 1},
	}
}

// oldFiles are files of every version before this program's next one.
var oldFiles = map[string]struct {
	make    func(*testing.T) string
	agents  func() map[string]agent
	counter int64
	rows    int64 // with those whose id cannot be used
}{
	"python":         {func(t *testing.T) string { return pythonFile(t) }, pythonAgents, 1, 3},
	"made by python": {kept("python.db"), pythonAgents, 1, 3},
	"v1":             {kept("v1.db"), v1Agents, v1Counter, 6},
}

// TestOldFiles: each opens, holds exactly what it held, and goes on where it was.
func TestOldFiles(t *testing.T) {
	for name, old := range oldFiles {
		t.Run(name, func(t *testing.T) {
			path := old.make(t)
			before := mustHash(t, path)
			ro, err := store.OpenReadOnly(t.Context(), path, impatient())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(old.agents(), agentsOf(t, ro)); diff != "" {
				t.Errorf("opened for reading: %s", diff)
			}
			mustClose(t, ro)
			if mustHash(t, path) != before {
				t.Error("reading has changed the file")
			}
			goesOn(t, path, old.agents(), old.counter, old.rows)
		})
	}
}

// goesOn opens the file for writing, compares everything, and changes an agent.
func goesOn(t *testing.T, path string, want map[string]agent, counter, rows int64) {
	t.Helper()
	s := mustOpen(t, path, impatient())
	if diff := cmp.Diff(want, agentsOf(t, s)); diff != "" {
		t.Error(diff)
	}
	report := mustCheck(t, path)
	if report.Revision != counter || report.Agents != rows || report.SchemaVersion != int64(store.SchemaVersion()) {
		t.Errorf("%+v", report)
	}
	r, err := apply1(t, s, save("alice", `"goes on"`, protocol.IfRevision(want["alice"].Revision)))
	if err != nil || r.Revision != counter+1 {
		t.Errorf("revision %d, want %d, %v", r.Revision, counter+1, err)
	}
	mustExec(t, mustOutsider(t, path), pySave, "dave", `"outside"`)
	if r, err := load(t, s, "dave"); err != nil || r.Revision != counter+2 {
		t.Errorf("revision %d, want %d, %v", r.Revision, counter+2, err)
	}
}

// nextVersion is a migration as one could be: it adds a column and a table, and rewrites every row.
var nextVersion = []string{
	"ALTER TABLE stated_meta ADD COLUMN note TEXT",
	"CREATE TABLE stated_labels (agent_id TEXT, label TEXT)",
	"INSERT INTO stated_labels SELECT agent_id, 'migrated' FROM agent_state",
	"UPDATE stated_meta SET note = 'version 2'",
}

func TestMigrate(t *testing.T) {
	for name, old := range oldFiles {
		t.Run(name, func(t *testing.T) {
			path := old.make(t)
			before := mustHash(t, path)
			undo := store.AddMigration(func(int) {}, nextVersion...)
			t.Cleanup(undo)
			// Whoever only reads leaves the old version as it is.
			if diff := cmp.Diff(old.agents(), agentsOfFile(t, path)); diff != "" {
				t.Errorf("opened for reading: %s", diff)
			}
			if mustHash(t, path) != before {
				t.Error("reading has changed the file")
			}
			s, err := store.Open(t.Context(), path, impatient())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(old.agents(), agentsOf(t, s)); diff != "" {
				t.Error(diff)
			}
			mustClose(t, s)
			if n := mustVersion(t, path, old.rows); n != 2 {
				t.Errorf("schema version %d", n)
			}
			if n := mustQuery[int](t, mustOutsider(t, path), "SELECT count(*) FROM sqlite_master WHERE name = 'stated_labels'"); n != 1 {
				t.Error("there is no version 2")
			}

			// The program before it refuses the file, and leaves every byte of it.
			undo()
			before = mustHash(t, path)
			for _, open := range []func(context.Context, string, store.Options) (*store.Store, error){store.Open, store.OpenReadOnly} {
				_, err := open(t.Context(), path, impatient())
				wantCode(t, err, protocol.CodeInvalid)
				if err == nil || !strings.Contains(err.Error(), "schema version 2, this program knows 1") {
					t.Errorf("it says %v", err)
				}
			}
			if mustHash(t, path) != before {
				t.Error("the older program has changed the file")
			}
			t.Cleanup(store.AddMigration(func(int) { t.Error("migrated twice") }, nextVersion...))
			goesOn(t, path, old.agents(), old.counter, old.rows)
		})
	}
}

// TestMigrate_Fails: an error in the last migration takes all of them back.
func TestMigrate_Fails(t *testing.T) {
	for name, old := range oldFiles {
		t.Run(name, func(t *testing.T) {
			path := old.make(t)
			version := mustVersion(t, path, old.rows)
			undo := store.AddMigration(func(int) {}, append(nextVersion, "UPDATE there_is_no_such_table SET a = 1")...)
			_, err := store.Open(t.Context(), path, impatient())
			if err == nil {
				t.Fatal("it has opened")
			}
			undo()
			if n := mustVersion(t, path, old.rows); n != version {
				t.Errorf("schema version %d, was %d", n, version)
			}
			goesOn(t, path, old.agents(), old.counter, old.rows)
		})
	}
}

func agentsOfFile(t *testing.T, path string) map[string]agent {
	t.Helper()
	s, err := store.OpenReadOnly(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	return agentsOf(t, s)
}

// mustVersion gives the schema version of a file, all of whose parts have to be of that version.
func mustVersion(t *testing.T, path string, rows int64) int64 {
	t.Helper()
	db := mustOutsider(t, path)
	defer db.Close()
	if result := mustQuery[string](t, db, "PRAGMA integrity_check"); result != "ok" {
		t.Errorf("integrity: %s", result)
	}
	if n := mustQuery[int64](t, db, "SELECT count(*) FROM agent_state"); n != rows {
		t.Errorf("%d rows, want %d", n, rows)
	}
	has := func(query string) bool { return mustQuery[int](t, db, "SELECT count(*) FROM "+query) > 0 }
	version := int64(0)
	meta := has("sqlite_master WHERE name = 'stated_meta'")
	if meta {
		version = mustQuery[int64](t, db, "SELECT schema_version FROM stated_meta")
	}
	for _, q := range []string{
		"sqlite_master WHERE name = 'stated_insert'", "sqlite_master WHERE name = 'stated_update'",
		"pragma_table_info('agent_state') WHERE name = 'revision'", "pragma_table_info('agent_state') WHERE name = 'checksum'",
	} {
		if has(q) != (version >= 1) {
			t.Errorf("version %d and %s", version, q)
		}
	}
	labels := has("sqlite_master WHERE name = 'stated_labels'")
	if labels != (version >= 2) || labels && mustQuery[int64](t, db, "SELECT count(*) FROM stated_labels") != rows {
		t.Errorf("version %d with labels: %v", version, labels)
	}
	if meta && has("pragma_table_info('stated_meta') WHERE name = 'note'") != (version >= 2) {
		t.Errorf("version %d and the column note", version)
	}
	return version
}
