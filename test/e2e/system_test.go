//go:build system

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// These tests need python3 with its redis package, and redis-cli. With the tag they fail where something is missing.

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOutsiders_Python is TestOutsiders with Python's sqlite3, and whatever SQLite that brings.
func TestOutsiders_Python(t *testing.T) {
	python := tool(t, "python3")
	script, err := filepath.Abs("../outsider/outsider.py")
	if err != nil {
		t.Fatal(err)
	}
	version := harness.Run(t, harness.Command{Path: python, Args: []string{"-c", "import sqlite3; print(sqlite3.sqlite_version)"}})
	t.Logf("Python's SQLite is %s", strings.TrimSpace(version.Stdout))
	bothWays(t, makePlain, func(t *testing.T, db string, s service) {
		besideOthers(t, db, s, func(name string) *harness.Process {
			return harness.Spawn(t, harness.Command{Path: python, Args: []string{script, "save", db, name, fmt.Sprint(outsiderWrites)}})
		})
	})
}

// TestRedisCLI uses the command line client of Redis, by arguments and by a pipe.
func TestRedisCLI(t *testing.T) {
	path := tool(t, "redis-cli")
	d := harness.Start(t, harness.File(t))
	host, port, _ := strings.Cut(d.Addr, ":")
	run := func(stdin string, args ...string) string {
		t.Helper()
		r := harness.Run(t, harness.Command{Path: path, Args: append([]string{"-h", host, "-p", port}, args...), Stdin: strings.NewReader(stdin)})
		if r.Code != 0 {
			t.Errorf("redis-cli %v: %+v", args, r)
		}
		return strings.TrimSpace(r.Stdout)
	}
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"ping"}, "PONG"},
		{[]string{"-3", "ping"}, "PONG"},
		{[]string{"set", "a", `{"turn":1}`}, "OK"},
		{[]string{"get", "a"}, `{"turn":1}`},
		{[]string{"--raw", "state.load", "a"}, `{"turn":1}`},
		{[]string{"state.count"}, "1"},
		{[]string{"--scan"}, "a"},
		{[]string{"-x", "set", "b"}, "OK"},
		{[]string{"get", "b"}, "[1]"},
		{[]string{"dbsize"}, "2"},
		{[]string{"set", "c", "none"}, "INVALID"},
		{[]string{"flushall"}, "OK"},
		{[]string{"dbsize"}, "0"},
	} {
		if got := run("[1]", step.args...); !strings.HasPrefix(got, step.want) && !strings.HasSuffix(got, step.want) {
			t.Errorf("redis-cli %v: %q, want %q", step.args, got, step.want)
		}
	}
	var pipe strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&pipe, "SET pipe-%d %d\r\n", i, i)
	}
	if got := run(pipe.String(), "--pipe"); !strings.Contains(got, "errors: 0, replies: 1000") {
		t.Errorf("redis-cli --pipe: %q", got)
	}
	d.Stop(t)
}

const pythonClient = `
import sys, redis
# Before version 5 there was RESP2 alone.
proto = {"protocol": int(sys.argv[3])} if int(redis.__version__.split(".")[0]) >= 5 else {}
c = redis.Redis(host=sys.argv[1], port=int(sys.argv[2]), socket_timeout=40, retry=None, **proto)
assert c.ping()
assert c.set("a", '{"turn":1}')
assert c.get("a") == b'{"turn":1}'
assert c.get("none") is None
assert c.set("a", "2", nx=True) is None
assert c.mset({"b": "2", "c": "3"})
assert c.mget("a", "none", "c") == [b'{"turn":1}', None, b"3"]
assert sorted(c.scan_iter(count=1)) == [b"a", b"b", b"c"]
with c.pipeline(transaction=True) as p:
    p.watch("a")
    p.multi()
    p.set("a", "4").delete("b")
    assert p.execute() == [True, 1], "EXEC"
with c.pipeline(transaction=True) as p:
    p.watch("a")
    c.set("a", "5")
    p.multi()
    p.set("a", "6")
    try:
        p.execute()
        raise SystemExit("a change of a watched agent went unnoticed")
    except redis.WatchError:
        pass
revision, _ = c.execute_command("STATE.SAVE", "d", "[1]")
try:
    c.execute_command("STATE.SAVE", "d", "[2]", "IFREV", revision - 1)
    raise SystemExit("no conflict")
except redis.ResponseError as e:
    assert str(e).startswith("CONFLICT current_revision=%d " % revision), str(e)
state = '"' + "x" * (8 * 1024 * 1024 - 2) + '"'
assert c.set("large", state)
assert c.get("large") == state.encode()
assert c.dbsize() == 4
assert c.flushdb()
print("done", redis.__version__, proto or "RESP2")
`

// pythonWithRedis finds a python3 that has the client: the first one on the path, or the system's, which has the
// system's packages.
func pythonWithRedis(t *testing.T) string {
	t.Helper()
	said := ""
	for _, python := range []string{tool(t, "python3"), "/usr/bin/python3"} {
		r := harness.Run(t, harness.Command{Path: python, Args: []string{"-c", "import redis"}})
		if r.Code == 0 {
			return python
		}
		said += r.Stderr
	}
	t.Fatalf("no python3 has the package redis (Debian: python3-redis):\n%s", said)
	return ""
}

// TestRedisPython uses the usual Python client.
func TestRedisPython(t *testing.T) {
	python := pythonWithRedis(t)
	d := harness.Start(t, harness.File(t))
	host, port, _ := strings.Cut(d.Addr, ":")
	for _, proto := range []string{"2", "3"} {
		r := harness.Run(t, harness.Command{Path: python, Args: []string{"-c", pythonClient, host, port, proto}})
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, "done") {
			t.Errorf("RESP%s: exit code %d\n%s%s", proto, r.Code, r.Stdout, r.Stderr)
		}
		t.Log(strings.TrimSpace(r.Stdout))
	}
	d.Stop(t)
}
