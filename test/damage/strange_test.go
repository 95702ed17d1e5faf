package damage

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// commands are what people run on a file; each gets the file's name, and a free name beside it.
var commands = map[string]func(db, free string) []string{
	"serve":        func(db, _ string) []string { return []string{"serve", "--redis", "127.0.0.1:0", "--db", db} },
	"check":        func(db, _ string) []string { return []string{"check", "--db", db} },
	"check --deep": func(db, _ string) []string { return []string{"check", "--deep", "--db", db} },
	"load":         func(db, _ string) []string { return []string{"load", agentID(1), "--db", db} },
	"list":         func(db, _ string) []string { return []string{"list", "--db", db} },
	"backup":       func(db, free string) []string { return []string{"backup", free, "--db", db} },
}

// each gives the commands; what check and load do, check --deep and list do too.
func each() []string {
	if long(0, 1) == 0 {
		return []string{"serve", "check", "load", "backup"}
	}
	return slices.Collect(maps.Keys(commands))
}

// run runs a command on files of its own, and gives those as they are afterwards.
func run(tb testing.TB, name string, files map[string][]byte) (harness.Result, map[string][]byte) {
	tb.Helper()
	db := write(tb, files)
	free := filepath.Join(filepath.Dir(db), "copy.db")
	result := harness.CLI(tb, commands[name](db, free)...)
	if strings.Contains(result.Stderr, "goroutine ") {
		tb.Errorf("%s panics:\n%s", name, result.Stderr)
	}
	if _, err := os.Stat(free); err == nil && result.Code != 0 {
		tb.Errorf("%s fails, and leaves a copy", name)
	}
	return result, read(tb, db)
}

// TestStrangeFiles: what is no file of ours is refused by every command, and left as it is.
func TestStrangeFiles(t *testing.T) {
	h := historyOf(t, closed)
	cases := map[string]struct {
		prepare func(t *testing.T) map[string][]byte
		code    int
	}{
		"text":         {func(*testing.T) map[string][]byte { return one([]byte("agents:\n  - alice\n")) }, 2},
		"long text":    {func(*testing.T) map[string][]byte { return one(bytes.Repeat([]byte("no database. "), 1000)) }, 2},
		"noise":        {func(*testing.T) map[string][]byte { return one(bytes.Repeat([]byte{0x5a, 0, 1}, 4096)) }, 2},
		"zeros":        {func(*testing.T) map[string][]byte { return one(make([]byte, 8192)) }, 2},
		"foreign":      {func(t *testing.T) map[string][]byte { return altered(t, h, "PRAGMA application_id = 252006674") }, 2},
		"other tables": {func(t *testing.T) map[string][]byte { return altered(t, nil, "CREATE TABLE t (a)") }, 2},
		"newer schema": {func(t *testing.T) map[string][]byte {
			return altered(t, h, "UPDATE stated_meta SET schema_version = 99")
		}, 2},
		"lost row":      {func(t *testing.T) map[string][]byte { return altered(t, h, "DELETE FROM stated_meta") }, 6},
		"lost table":    {func(t *testing.T) map[string][]byte { return altered(t, h, "DROP TABLE agent_state") }, 2},
		"first page":    {func(*testing.T) map[string][]byte { return one(h.files[""][:h.pageSize]) }, 6},
		"header broken": {func(*testing.T) map[string][]byte { return one(slices.Concat(make([]byte, 16), h.files[""][16:])) }, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			files := c.prepare(t)
			for _, command := range each() {
				result, after := run(t, command, files)
				if result.Code != c.code || result.Stderr == "" {
					t.Errorf("%s: exit code %d, want %d\n%s%s", command, result.Code, c.code, result.Stdout, result.Stderr)
				}
				if !bytes.Equal(after[""], files[""]) {
					t.Errorf("%s has changed the file", command)
				}
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		for name, command := range commands {
			dir := t.TempDir()
			if result := harness.CLI(t, command(dir, filepath.Join(dir, "copy.db"))...); result.Code != 2 || !strings.Contains(result.Stderr, "regular file") {
				t.Errorf("%s: exit code %d\n%s%s", name, result.Code, result.Stdout, result.Stderr)
			}
		}
	})
	t.Run("empty", func(t *testing.T) { // as good as none: only serve makes something of it
		for command := range commands {
			if command == "serve" {
				continue
			}
			result, after := run(t, command, one(nil))
			if result.Code != 2 || len(after[""]) != 0 {
				t.Errorf("%s: exit code %d, %d bytes\n%s%s", command, result.Code, len(after[""]), result.Stdout, result.Stderr)
			}
		}
		if m, closeIt, err := library(t, write(t, one(nil))); err != nil {
			t.Error(err)
		} else {
			if n, err := m.Count(guarded(t), ""); err != nil || n != 0 {
				t.Errorf("%d, %v", n, err)
			}
			closeIt()
		}
	})
}

func one(b []byte) map[string][]byte { return map[string][]byte{"": b} }

// altered gives a database after a statement of SQL.
func altered(t *testing.T, h *history, statement string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	if h != nil {
		files = h.files
	}
	db := write(t, files)
	execute(t, db, statement)
	return read(t, db)
}

// TestStrangeLogs puts the log and index of one database beside another one, as a restore by hand does. A log of another
// database is as valid as its own: what SQLite makes of it is a mixture, which has to be found.
func TestStrangeLogs(t *testing.T) {
	h, other := historyOf(t, closed), otherHistory(t)
	for name, with := range map[string][]string{"-wal": {"-wal"}, "-shm": {"-shm"}, "both": {"-wal", "-shm"}} {
		t.Run(name, func(t *testing.T) {
			files := h.copyFiles()
			for _, ending := range with {
				files[ending] = other[ending]
			}
			v := h.judge(t, files)
			t.Logf("refused at opening: %t, check: %t, errors: %d, wrong: %d, hidden: %d", v.found.open, v.found.check, len(v.errors), len(v.wrong), len(v.hidden))
			if len(v.wrong)+len(v.hidden) > 0 && !v.found.check {
				t.Errorf("nobody says anything: %q %q", v.wrong, v.hidden)
			}
		})
	}
}

// otherHistory is another database, of which the daemon was killed.
func otherHistory(t *testing.T) map[string][]byte {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	d := harness.Start(t, db)
	m := d.Client(t, clientOptions).Methods
	for i := range 40 {
		if _, err := m.Save(guarded(t), agentID(i), []byte(`"of another database"`)); err != nil {
			t.Fatal(err)
		}
	}
	d.Kill()
	return read(t, db)
}

// TestCommands runs the commands on damaged files: those say so with exit code 6, or do what they should.
func TestCommands(t *testing.T) {
	r := harness.Random(t)
	for range long(1, 4) {
		for _, c := range []struct {
			h      *history
			ending string
		}{{historyOf(t, closed), ""}, {historyOf(t, left), "-wal"}, {historyOf(t, left), "-shm"}} {
			how := injuries[r.IntN(len(injuries))]
			files := c.h.copyFiles()
			injured, what := how.do(r, files[c.ending], c.h.pageSize)
			files[c.ending] = injured
			codes := map[string]int{}
			for command := range commands {
				if command == "serve" {
					continue // it runs on where it can
				}
				result, _ := run(t, command, files)
				codes[command] = result.Code
				if result.Code != 0 && result.Code != exitDamaged && result.Code != exitUsage && result.Code != exitFailed || result.Code != 0 && result.Stderr == "" {
					t.Errorf("%s%s, %s: %s: exit code %d\n%s%s", c.ending, how.name, what, command, result.Code, result.Stdout, result.Stderr)
				}
				if want := c.h.now[agentID(1)].state; command == "load" && result.Code == 0 && strings.TrimSuffix(result.Stdout, "\n") != want {
					t.Errorf("%s%s, %s: load prints %.60q", c.ending, how.name, what, result.Stdout)
				}
			}
			if codes["check --deep"] == 0 && slices.Max(slices.Collect(maps.Values(codes))) != 0 {
				t.Errorf("%s%s, %s: check --deep finds nothing: %v", c.ending, how.name, what, codes)
			}
			t.Logf("%s%s, %s: %v", c.ending, how.name, what, codes)
		}
	}
}

// The exit codes of a damaged file.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitDamaged = 6
)
