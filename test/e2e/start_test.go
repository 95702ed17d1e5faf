package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestServe_OneOwner shows that a file has one owner, daemon or library, and that the second one is told who it is.
func TestServe_OneOwner(t *testing.T) {
	db := harness.File(t)
	link := filepath.Join(t.TempDir(), "link.db")
	d := harness.Start(t, db)
	if err := os.Symlink(db, link); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprintf("process %d", d.Pid())
	for _, name := range []string{db, link} {
		wantFailure(t, harness.CLI(t, "serve", "--db", name, "--redis", "127.0.0.1:0"), 5, pid, "in use")
		_, err := store.Open(guarded(t), name, store.Options{})
		if protocol.CodeOf(err) != protocol.CodeUnavailable {
			t.Errorf("the library says %v", err)
		} else if owner, _ := protocol.AsError(err).Fact(protocol.FactOwner); owner != fmt.Sprint(d.Pid()) {
			t.Errorf("the library is told of owner %q, want %d", owner, d.Pid())
		}
	}
	wantReply(t, dialRaw(t, d.Addr).do("SET", "a", "1"), "OK")
	d.Kill()
	_, stop := library(t, db, store.Options{})
	wantFailure(t, harness.CLI(t, "serve", "--db", db, "--redis", "127.0.0.1:0"), 5, fmt.Sprintf("process %d", os.Getpid()))
	stop()
	harness.Start(t, db).Stop(t)
}

// TestServe_RefusesFiles starts a daemon on what it must not touch: one line says why, and the file stays as it was.
func TestServe_RefusesFiles(t *testing.T) {
	outsideExec := func(statements ...string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			for _, s := range statements {
				outsideNow(t, "exec", path, s)
			}
		}
	}
	const agents = "CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json TEXT NOT NULL, updated_at TIMESTAMP)"
	cases := map[string]struct {
		make func(t *testing.T, path string)
		code int
		want string
	}{
		"a text file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("shopping list\n"), 500), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 2, "not a SQLite database"},
		"another application's database": {outsideExec("PRAGMA application_id=1234", agents), 2, "another application"},
		"a database without the table":   {outsideExec("CREATE TABLE songs (title TEXT)"), 2, "no agent_state"},
		"a table of another shape":       {outsideExec("CREATE TABLE agent_state (agent_id INTEGER PRIMARY KEY, state_json TEXT)"), 2, "agent_id"},
		"a newer version": {outsideExec(agents, "ALTER TABLE agent_state ADD COLUMN revision INTEGER", "ALTER TABLE agent_state ADD COLUMN checksum INTEGER",
			"CREATE TABLE stated_meta (id INTEGER PRIMARY KEY, schema_version INTEGER, revision INTEGER, store_id TEXT)",
			"INSERT INTO stated_meta VALUES (1, 99, 5, 'x')"), 2, "version 99"},
		"a folder": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, 2, "not a regular file"},
		"a link to nothing": {func(t *testing.T, path string) {
			if err := os.Symlink("/nowhere/agents.db", path); err != nil {
				t.Fatal(err)
			}
		}, 2, "symbolic link to nothing"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.db")
			tc.make(t, path)
			before, _ := os.ReadFile(path) // a folder has no content
			wantFailure(t, harness.CLI(t, "serve", "--db", path, "--redis", "127.0.0.1:0"), tc.code, path, tc.want)
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
	t.Run("a missing folder", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "missing")
		r := harness.CLI(t, "serve", "--db", filepath.Join(dir, "agents.db"), "--redis", "127.0.0.1:0")
		wantFailure(t, r, 2, dir, "does not exist")
		if _, err := os.Stat(dir); err == nil {
			t.Error("the folder was made")
		}
	})
}

// TestServe_Permissions runs the daemon without the right to write.
func TestServe_Permissions(t *testing.T) {
	db := harness.File(t)
	harness.Start(t, db).Stop(t)
	dir := filepath.Dir(db)
	harness.Open(t, dir)
	chmod := func(path string, mode os.FileMode) {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	serve := harness.Command{Args: []string{"serve", "--db", db, "--redis", "127.0.0.1:0"}, Nobody: true}
	if err := os.Remove(db + ".owner"); err != nil { // it is for its maker alone
		t.Fatal(err)
	}
	chmod(db, 0o444)
	wantFailure(t, harness.Run(t, serve), 1, db, "permission")
	_ = os.Remove(db + ".owner") // as above; it may not have been made
	chmod(dir, 0o555)
	wantFailure(t, harness.Run(t, serve), 1, "permission denied")
	chmod(dir, 0o700)
	chmod(db, 0o600)
	d := harness.Start(t, db)
	for _, suffix := range []string{"", "-wal", "-shm", ".owner"} {
		info, err := os.Stat(db + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("agents.db%s has mode %v, %v", suffix, info.Mode(), err)
		}
	}
	d.Stop(t)
}

// TestServe_PortInUse shows that the file is free again after a listener could not be had.
func TestServe_PortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nobody connects
	db := harness.File(t)
	wantFailure(t, harness.CLI(t, "serve", "--db", db, "--redis", l.Addr().String()), 1, l.Addr().String(), "in use", "another daemon", "--redis")
	harness.Start(t, db).Stop(t)
}

// TestServe_PortForbidden shows that another daemon is not blamed for what the system forbids.
func TestServe_PortForbidden(t *testing.T) {
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if n, _ := strconv.Atoi(strings.TrimSpace(string(first))); err != nil || n < 2 {
		t.Skipf("every port is free to everybody here, or nobody knows: %q, %v", first, err)
	}
	const port = "127.0.0.1:1"
	db := harness.File(t)
	harness.Open(t, filepath.Dir(db))
	r := harness.Run(t, harness.Command{Args: []string{"serve", "--db", db, "--redis", port}, Nobody: true})
	wantFailure(t, r, 1, port, "permission denied")
	if strings.Contains(r.Stderr, "another daemon") {
		t.Errorf("another daemon is blamed: %q", r.Stderr)
	}
}

// TestServe_Config refuses a configuration that nobody can have meant. Every problem is a line that names its key.
func TestServe_Config(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "stated.yaml")
	text := "store:\n  pth: agents.db\ntimeouts:\n  request: soon\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args, env []string
		want      []string
	}{
		"a typo in the file":     {args: []string{"--config", file}, want: []string{"store.pth", "timeouts.request", file}},
		"a file that is missing": {args: []string{"--config", file + ".old"}, want: []string{file + ".old"}},
		"a typo in --set":        {args: []string{"--set", "store.pth=x"}, want: []string{"store.pth", "--set"}},
		"no value in --set":      {args: []string{"--set", "store.path"}, want: []string{"key=value"}},
		"a typo in the environment": {env: []string{"STATED_STORE__PTH=x"},
			want: []string{"STATED_STORE__PTH"}},
		"a bad number":             {args: []string{"--set", "actor.batch=many"}, want: []string{"actor.batch", "many"}},
		"an address for all":       {args: []string{"--redis", "0.0.0.0:7828"}, want: []string{"server.redis", "0.0.0.0"}},
		"a budget that is too big": {args: []string{"--set", "timeouts.request=5"}, want: []string{"timeouts.request"}},
		"nothing to listen on":     {args: []string{"--redis", "", "--http", ""}, want: []string{"server.redis", "server.http"}},
		"a durability that is none": {args: []string{"--set", "store.durability=mostly"},
			want: []string{"store.durability", "mostly"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "agents.db")
			r := harness.Run(t, harness.Command{Args: append([]string{"serve", "--db", db}, tc.args...), Env: tc.env, Dir: t.TempDir()})
			if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "stated: ") {
				t.Errorf("exit code %d, standard output %q, standard error %q", r.Code, r.Stdout, r.Stderr)
			}
			for _, w := range tc.want {
				if !strings.Contains(r.Stderr, w) {
					t.Errorf("the message is %q, want %q in it", r.Stderr, w)
				}
			}
			if _, err := os.Stat(db); err == nil {
				t.Error("a file was made all the same")
			}
		})
	}
}
