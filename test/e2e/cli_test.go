package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stated/stated/test/harness"
)

// cli runs commands against one target.
type cli struct {
	t      *testing.T
	target []string
}

func (c cli) run(stdin string, args ...string) harness.Result {
	c.t.Helper()
	return harness.Run(c.t, harness.Command{Args: append(args, c.target...), Stdin: strings.NewReader(stdin)})
}

// wants runs a command that succeeds and prints nothing but out.
func (c cli) wants(out, stdin string, args ...string) {
	c.t.Helper()
	if r := c.run(stdin, args...); r.Code != 0 || r.Stdout != out || r.Stderr != "" {
		c.t.Errorf("stated %q: exit code %d, printed %q and %q, want %q", args, r.Code, r.Stdout, r.Stderr, out)
	}
}

// objects runs a command with --json, and gives the lines that it prints.
func (c cli) objects(stdin string, args ...string) []map[string]any {
	c.t.Helper()
	r := c.run(stdin, append(args, "--json")...)
	if r.Code != 0 {
		c.t.Errorf("stated %q: exit code %d: %s", args, r.Code, r.Stderr)
	}
	var list []map[string]any
	for line := range strings.Lines(r.Stdout) {
		o := map[string]any{}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			c.t.Errorf("stated %q prints %q: %v", args, line, err)
		}
		list = append(list, o)
	}
	return list
}

func (c cli) wantObject(want string, stdin string, args ...string) {
	c.t.Helper()
	list := c.objects(stdin, args...)
	if len(list) != 1 {
		c.t.Fatalf("stated %q prints %d objects", args, len(list))
	}
	delete(list[0], "updated_at")
	if got := fmt.Sprint(list[0]); got != want {
		c.t.Errorf("stated %q prints %s, want %s", args, got, want)
	}
}

// TestCLI goes through the commands of one operation, through a daemon and on the file.
func TestCLI(t *testing.T) {
	script := func(t *testing.T, target ...string) {
		c := cli{t, target}
		c.wants("revision 1\n", `{"turn": 1}`, "save", "alice")
		c.wants(`{"turn": 1}`, "", "load", "alice")
		c.wantObject("map[agent_id:alice revision:2]", "{\"turn\": 2}\n", "save", "alice", "-")
		c.wants("{\"turn\": 2}\n", "", "load", "alice")
		c.wantObject("map[agent_id:alice revision:2 state:map[turn:2]]", "", "load", "alice")
		file := filepath.Join(t.TempDir(), "bob.json")
		if err := os.WriteFile(file, []byte(`[1,2]`), 0o600); err != nil {
			t.Fatal(err)
		}
		c.wants("revision 3\n", "", "save", "bob", file, "--if-absent")
		c.wants("revision 4\n", `"x"`, "save", "alice", "--if-revision", "2")
		c.wants("revision 5\n", `"y"`, "save", "alice", "--if-exists")
		wantFailure(t, c.run("1", "save", "alice", "--if-absent"), 4, "alice", "revision 5", "absent")
		wantFailure(t, c.run("1", "save", "alice", "--if-revision", "2"), 4, "revision 5", "revision 2")
		wantFailure(t, c.run("1", "save", "carol", "--if-exists"), 4, "carol", "does not exist")
		wantFailure(t, c.run("", "delete", "alice", "--if-revision", "4"), 4, "revision 5")
		wantFailure(t, c.run("", "load", "carol"), 3, "carol")
		wantFailure(t, c.run("", "delete", "carol"), 3, "carol")
		c.wants("2\n", "", "count")
		c.wants("1\n", "", "count", "al")
		c.wantObject("map[count:0]", "", "count", "nobody")
		if got := fmt.Sprint(c.objects("", "list")); !strings.Contains(got, "agent_id:alice bytes:3 revision:5") || !strings.Contains(got, "agent_id:bob bytes:5") {
			t.Errorf("list --json: %s", got)
		}
		if list := c.objects("", "list", "--after", "alice"); len(list) != 1 || list[0]["agent_id"] != "bob" {
			t.Errorf("list --after alice: %v", list)
		}
		if list := c.objects("", "list", "--limit", "1"); len(list) != 1 || list[0]["agent_id"] != "alice" {
			t.Errorf("list --limit 1: %v", list)
		}
		if r := c.run("", "list", "b"); r.Code != 0 || strings.Contains(r.Stdout, "alice") || !strings.Contains(r.Stdout, "bob") {
			t.Errorf("list b: %+v", r)
		}
		c.wants("revision 6\n", "", "delete", "alice")
		c.wantObject("map[deleted:1 revision:7]", "", "clear", "--yes")
		c.wants("0\n", "", "count")
		c.wants("revision 8\n", "{}", "save", "alice")
	}
	t.Run("daemon", func(t *testing.T) {
		d := harness.Start(t, harness.File(t))
		script(t, "--addr", d.Addr)
	})
	t.Run("file", func(t *testing.T) { script(t, "--db", harness.File(t)) })
}

// TestCLI_BesideDaemon uses --db on a file that a daemon owns: reading works, writing says who owns it.
func TestCLI_BesideDaemon(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	daemon, file := cli{t, []string{"--addr", d.Addr}}, cli{t, []string{"--db", db}}
	daemon.wants("revision 1\n", `{"turn":1}`, "save", "alice")
	file.wants(`{"turn":1}`, "", "load", "alice")
	file.wants("1\n", "", "count")
	file.wantObject("map[agent_id:alice bytes:10 revision:1]", "", "list")
	for _, args := range [][]string{{"save", "alice"}, {"delete", "alice"}, {"clear", "--yes"}} {
		wantFailure(t, file.run("{}", args...), 5, fmt.Sprintf("process %d", d.Pid()), "in use")
	}
	if r := file.run("", "check", "--deep"); r.Code != 0 || !strings.Contains(r.Stdout, "sound") {
		t.Errorf("check beside the daemon: %+v", r)
	}
	daemon.wants(`{"turn":1}`, "", "load", "alice")
}

// TestCLI_Reading shows that commands that read never make or change a file, and that only save makes one.
func TestCLI_Reading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	plain := filepath.Join(t.TempDir(), "plain.db")
	makePlain(t, plain)
	before, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"load", "a"}, {"list"}, {"count"}, {"check"}, {"backup", path + ".copy"}, {"delete", "a"}, {"clear", "--yes"},
	} {
		wantFailure(t, cli{t, []string{"--db", path}}.run("", args...), 2, path)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) > 0 {
		t.Errorf("reading a file that is not there made %v, %v", list, err)
	}
	c := cli{t, []string{"--db", plain}}
	c.wants(`{"seq":0}`, "", "load", "veteran")
	c.wants("1\n", "", "count")
	if r := c.run("", "check", "--deep"); r.Code != 0 || !strings.Contains(r.Stdout, "store id  not adopted yet\n") || strings.Contains(r.Stdout, "schema") {
		t.Errorf("check of a file that was not adopted: %+v", r)
	}
	if after, err := os.ReadFile(plain); err != nil || string(after) != string(before) {
		t.Errorf("reading changed the file, %v", err)
	}
}

// TestCLI_Times shows that times sort as text: each has three digits of milliseconds, zeros too.
func TestCLI_Times(t *testing.T) {
	db := harness.File(t)
	c := cli{t, []string{"--db", db}}
	times := func(args ...string) string {
		t.Helper()
		list := c.objects("{}", append(args, "a")...)
		if len(list) != 1 {
			t.Fatalf("stated %q prints %v", args, list)
		}
		return fmt.Sprint(list[0]["updated_at"])
	}
	if at := times("save"); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(at) {
		t.Errorf("save --json: updated_at is %q", at)
	}
	for _, at := range []string{"2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.120Z"} {
		outsideNow(t, "exec", db, fmt.Sprintf("UPDATE agent_state SET updated_at = '%s'", strings.NewReplacer("T", " ", "Z", "").Replace(at)))
		for _, command := range []string{"load", "list"} {
			if got := times(command); got != at {
				t.Errorf("%s --json: updated_at is %q, want %q", command, got, at)
			}
		}
	}
}

// TestCLI_Endless gives save more than it may read: it stops reading.
func TestCLI_Endless(t *testing.T) {
	db := harness.File(t)
	for _, args := range [][]string{{"save", "a"}, {"save", "a", "/dev/zero"}} {
		r := harness.Run(t, harness.Command{Args: append(args, "--db", db), Stdin: endless{}})
		wantFailure(t, r, 2, "more than 8388608 bytes")
	}
	c := cli{t, []string{"--db", db, "--set", "limits.state_bytes=10"}}
	wantFailure(t, c.run(`"123456789"`, "save", "a"), 2, "more than 10 bytes", "limits.state_bytes")
	c.wants("revision 1\n", `"12345678"`, "save", "a")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestCLI_Interrupted ends commands that wait, with one signal: for their input, and for a daemon that says nothing.
func TestCLI_Interrupted(t *testing.T) {
	interrupted := func(t *testing.T, p *harness.Process) {
		t.Helper()
		p.Signal(t, syscall.SIGTERM)
		if code := p.Wait(t); code != 1 || p.Output() != "stated: interrupted" {
			t.Errorf("exit code %d, %q", code, p.Output())
		}
	}
	t.Run("input", func(t *testing.T) {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		p := harness.Spawn(t, harness.Command{Args: []string{"save", "a", pipe, "--db", harness.File(t)}})
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // nothing was written
		interrupted(t, p)
	})
	t.Run("daemon", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // it answers nobody
		p := harness.Spawn(t, harness.Command{Args: []string{"count", "--addr", l.Addr().String()}})
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // as above
		interrupted(t, p)
	})
}

// TestCLI_Unavailable is exit code 5: nobody answers, or the lock is held.
func TestCLI_Unavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil { // now nobody listens there
		t.Fatal(err)
	}
	wantFailure(t, cli{t, []string{"--addr", addr}}.run("", "count"), 5, addr, "stated serve")
	db := harness.File(t)
	cli{t, []string{"--db", db}}.wants("revision 1\n", "{}", "save", "a")
	holder := outside(t, "hold", db)
	holder.Line(t, "held")
	quick := []string{"--set", "timeouts.state_store_lock=0.05", "--set", "timeouts.state_store_retry_max=1", "--set", "timeouts.state_store_retry_base=0.01"}
	wantFailure(t, cli{t, append(quick, "--db", db)}.run("{}", "save", "a"), 5, "lock")
	d := harness.Start(t, db, quick...)
	wantFailure(t, cli{t, []string{"--addr", d.Addr}}.run("{}", "save", "a"), 5, "lock")
}

// TestCLI_Config shows every setting with where it came from; the later source wins.
func TestCLI_Config(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stated.yaml")
	text := "store:\n  readers: 3\nactor:\n  batch: 100\n  mailbox: 500\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := harness.Run(t, harness.Command{
		Args: []string{"config", "--json", "--config", file, "--set", "actor.mailbox=700"},
		Env:  []string{"STATED_ACTOR__BATCH=200", "STATED_ACTOR__MAILBOX=600"},
	})
	if r.Code != 0 {
		t.Fatalf("exit code %d: %s", r.Code, r.Stderr)
	}
	for key, want := range map[string][2]string{
		"store.durability": {"full", "default"}, "store.readers": {"3", file},
		"actor.batch": {"200", "STATED_ACTOR__BATCH"}, "actor.mailbox": {"700", "--set"},
	} {
		found := false
		for line := range strings.Lines(r.Stdout) {
			var v struct {
				Key, Origin string
				Value       any
			}
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			if v.Key == key {
				found = true
				if fmt.Sprint(v.Value) != want[0] || !strings.Contains(v.Origin, want[1]) {
					t.Errorf("%s is %v from %q, want %s from %s", key, v.Value, v.Origin, want[0], want[1])
				}
			}
		}
		if !found {
			t.Errorf("%s is not printed", key)
		}
	}
	if r := harness.CLI(t, "config"); r.Code != 0 || !strings.Contains(r.Stdout, "timeouts.state_store_retry_max") {
		t.Errorf("config: %+v", r)
	}
}

// TestCLI_About covers what needs no agents.
func TestCLI_About(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := harness.CLI(t, "completion", shell); r.Code != 0 || !strings.Contains(r.Stdout, "stated") {
			t.Errorf("completion %s: exit code %d, %d bytes, %s", shell, r.Code, len(r.Stdout), r.Stderr)
		}
	}
	var about struct {
		Version, Commit, Go, SQLite string
		Schema                      int
	}
	r := harness.CLI(t, "version", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &about); err != nil || about.Go == "" || about.SQLite == "" || about.Schema < 1 {
		t.Errorf("version --json: %+v, %v", r, err)
	}
	for _, name := range []string{"", "serve", "save", "load", "delete", "list", "count", "clear", "check", "backup", "config", "version"} {
		args := strings.Fields(name + " --help")
		if r := harness.CLI(t, args...); r.Code != 0 || !strings.Contains(r.Stdout, "Usage:") || r.Stderr != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := harness.CLI(t, "--version"); r.Code != 0 || !strings.HasPrefix(r.Stdout, "stated ") || strings.Count(r.Stdout, "\n") != 1 {
		t.Errorf("--version: %+v", r)
	}
	if r := harness.CLI(t, "save", "--help"); !strings.Contains(r.Stdout, "--set key=value ") {
		t.Errorf("save --help does not show --set key=value: %s", r.Stdout)
	}
	if r := harness.CLI(t); r.Code != 2 || r.Stderr == "" {
		t.Errorf("no command at all: exit code %d, %q", r.Code, r.Stderr)
	}
}
