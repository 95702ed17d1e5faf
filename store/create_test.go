package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

func TestCreate(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	for _, suffix := range []string{"", "-wal", "-shm", ".owner"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
	}
	outside := mustOutsider(t, path)
	for pragma, want := range map[string]string{
		"page_size": "4096", "auto_vacuum": "2", "application_id": fmt.Sprint(0x53747464), "journal_mode": "wal",
		"user_version": "0", "encoding": "UTF-8",
	} {
		if got := mustQuery[string](t, outside, "PRAGMA "+pragma); got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	info := s.Info()
	if len(info.StoreID) < 20 || info.SchemaVersion != 1 || info.DBBytes == 0 || info.WALBytes == 0 || info.Path != path {
		t.Errorf("%+v", info)
	}
	if r := mustCheck(t, path); r.StoreID != info.StoreID || r.Revision != 1 || r.Agents != 1 || r.Checked != 1 {
		t.Errorf("%+v", r)
	}
}

// TestOpen_Names: whatever the name of the file, it is that file and no other.
func TestOpen_Names(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a?mode=ro", "b#c", "100%25.db", "wi th space", "zoë☕", "it's", `quote"d`, "file:x", "-wal", "a&_pragma=x"} {
		path := filepath.Join(dir, name)
		s := mustOpen(t, path, impatient())
		mustApply(t, s, save("a", "1"))
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if got := s.Info(); got.DBBytes == 0 || got.WALBytes == 0 {
			t.Errorf("%q: %+v", name, got)
		}
	}
	t.Chdir(dir)
	s := mustOpen(t, "relative.db", impatient())
	mustApply(t, s, save("a", "1"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), filepath.Join(link, "relative.db"), impatient())
	wantCode(t, err, protocol.CodeUnavailable)
	mustOpen(t, filepath.Join(link, "new.db"), impatient())
	if _, err := os.Stat(filepath.Join(dir, "new.db")); err != nil {
		t.Error(err)
	}
}

func TestOpen_EmptyFile(t *testing.T) {
	path := tempDB(t)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	if n := mustQuery[int](t, mustOutsider(t, path), "PRAGMA auto_vacuum"); n != 2 {
		t.Errorf("auto_vacuum is %d", n)
	}
}

// TestOpen_Refuses: what is not ours to write stays as it is, byte for byte, and is no longer locked.
func TestOpen_Refuses(t *testing.T) {
	const columns = "state_json TEXT NOT NULL, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP"
	for name, test := range map[string]struct {
		sql  string
		says string
	}{
		"foreign application_id":      {"PRAGMA application_id = 17; " + pyCreate, "application"},
		"foreign application, empty":  {"PRAGMA application_id = 17; CREATE TABLE x (y); DROP TABLE x", "application"},
		"no agent_state":              {"CREATE TABLE other (x)", "no agent_state"},
		"a view besides nothing":      {"CREATE VIEW v AS SELECT 1", "no agent_state"},
		"no state_json":               {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, data TEXT, updated_at TIMESTAMP)", "state_json"},
		"no updated_at":               {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json TEXT)", "updated_at"},
		"id is a number":              {"CREATE TABLE agent_state (agent_id INTEGER PRIMARY KEY, " + columns + ")", "agent_id"},
		"id is no key":                {"CREATE TABLE agent_state (agent_id TEXT, " + columns + ")", "primary key"},
		"id is part of a key":         {"CREATE TABLE agent_state (agent_id TEXT, tenant TEXT, " + columns + ", PRIMARY KEY (agent_id, tenant))", "primary key"},
		"id unique for some rows":     {"CREATE TABLE agent_state (agent_id TEXT, " + columns + "); CREATE UNIQUE INDEX u ON agent_state (agent_id) WHERE updated_at > 1", "primary key"},
		"id without case":             {"CREATE TABLE agent_state (agent_id TEXT COLLATE NOCASE PRIMARY KEY, " + columns + ")", "primary key"},
		"id without trailing spaces":  {"CREATE TABLE agent_state (agent_id TEXT COLLATE RTRIM PRIMARY KEY, " + columns + ")", "primary key"},
		"without rowid":               {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, " + columns + ") WITHOUT ROWID", "rowids"},
		"state has numeric affinity":  {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json JSON NOT NULL, updated_at TIMESTAMP)", "state_json"},
		"state is a blob":             {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json BLOB NOT NULL, updated_at TIMESTAMP)", "state_json"},
		"column to be filled":         {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, owner TEXT NOT NULL, " + columns + ")", "owner"},
		"a revision of its own":       {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, revision INTEGER, " + columns + ")", "revision"},
		"a checksum of its own":       {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, checksum TEXT, " + columns + ")", "checksum"},
		"columns that look like ours": {"CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, " + columns + ", revision TEXT, checksum TEXT)", "not stated's"},
		"a view":                      {"CREATE TABLE t (agent_id TEXT PRIMARY KEY, " + columns + "); CREATE VIEW agent_state AS SELECT * FROM t", "primary key"},
		"UTF-16":                      {"PRAGMA encoding = 'UTF-16'; " + pyCreate, "UTF-16"},
		"ours, without its columns":   {pyCreate + "; " + store.VersioningSQL[strings.Index(store.VersioningSQL, "CREATE TABLE"):strings.Index(store.VersioningSQL, "CREATE TRIGGER")] + "INSERT INTO stated_meta VALUES (1, 1, 1, 'x')", "lost its columns"},
		"ours, of a newer version":    {store.SchemaSQL + store.VersioningSQL + "INSERT INTO stated_meta VALUES (1, 2, 1, 'x')", "schema version 2"},
		"ours, without a trigger":     {store.SchemaSQL + store.VersioningSQL + "INSERT INTO stated_meta VALUES (1, 1, 1, 'x'); DROP TRIGGER stated_update", "triggers"},
		"newer version, other tables": {"CREATE TABLE stated_meta (id INTEGER PRIMARY KEY, schema_version INTEGER, extra); INSERT INTO stated_meta VALUES (1, 99, 1)", "schema version 99"},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			mustMake(t, path, test.sql)
			wantUntouched(t, path, protocol.CodeInvalid, test.says)
		})
	}
	for name, bytes := range map[string]string{
		"text": "this is no database\n", "long text": strings.Repeat("this is no database\n", 1000), "two bytes": "xy", "one byte": "x",
		"zeros": strings.Repeat("\x00", 8192),
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			if err := os.WriteFile(path, []byte(bytes), 0o644); err != nil {
				t.Fatal(err)
			}
			wantUntouched(t, path, protocol.CodeInvalid, "not a SQLite database")
		})
	}
	t.Run("meta without its row", func(t *testing.T) {
		path := tempDB(t)
		mustMake(t, path, store.SchemaSQL+store.VersioningSQL)
		wantUntouched(t, path, protocol.CodeCorrupt, "lost its row")
	})
}

// wantUntouched opens the file in every way, which must fail and change neither it nor what lies beside it.
func wantUntouched(t *testing.T, path string, code protocol.Code, says string) {
	t.Helper()
	before := mustHash(t, path)
	info, _ := os.Stat(path)
	for what, open := range map[string]func(context.Context, string, store.Options) (*store.Store, error){
		"Open": store.Open, "OpenReadOnly": store.OpenReadOnly,
	} {
		s, err := open(t.Context(), path, impatient())
		if err == nil {
			mustClose(t, s)
			t.Fatalf("%s accepts it", what)
		}
		wantCode(t, err, code)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, which does not say %q", what, err, says)
		}
	}
	if _, err := store.Check(t.Context(), path, impatient(), true); err == nil {
		t.Error("Check accepts it")
	}
	if mustHash(t, path) != before {
		t.Error("the file was changed")
	}
	if after, err := os.Stat(path); err != nil || !after.ModTime().Equal(info.ModTime()) || after.Mode() != info.Mode() {
		t.Errorf("the file was touched: %v, %v", after, err)
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal", ".owner"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("there is a %s now", suffix)
		}
	}
}

// TestOpen_HardLink: SQLite keeps a log for each name of a file, and the owner's lock would be two.
func TestOpen_HardLink(t *testing.T) {
	path := tempDB(t)
	mustMake(t, path, pyCreate)
	if err := os.Link(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".link"} {
		wantUntouched(t, name, protocol.CodeInvalid, "hard links")
	}
}

func TestOpen_Places(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"": "empty", dir: "not a regular file", filepath.Join(dir, "no", "such", "a.db"): "does not exist",
		dangling: "symbolic link to nothing", "/dev/null": "not a regular file", filepath.Join(dir, "nul\x00l"): "",
	} {
		_, err := store.Open(t.Context(), path, impatient())
		wantCode(t, err, protocol.CodeInvalid)
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, which does not say %q", path, err, says)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	_, err := store.Open(t.Context(), tempDB(t), store.Options{Durability: "sometimes"})
	wantCode(t, err, protocol.CodeInvalid)
	_, err = store.Open(t.Context(), tempDB(t), store.Options{Readers: -1})
	wantCode(t, err, protocol.CodeInvalid)
	_, err = store.OpenReadOnly(t.Context(), tempDB(t), impatient())
	wantCode(t, err, protocol.CodeInvalid)
}
