//go:build system

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestRedisCLI_Secured uses redis-cli with a token, over TLS.
func TestRedisCLI_Secured(t *testing.T) {
	path := tool(t, "redis-cli")
	if help := harness.Run(t, harness.Command{Path: path, Args: []string{"--help"}}); !strings.Contains(help.Stdout+help.Stderr, "--cacert") {
		t.Fatal("this redis-cli was built without TLS")
	}
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	d := startSecured(t, dir, tokens(t, dir, "boss=admin", "reader=read")+
		fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key))
	host, port, _ := strings.Cut(d.Addr, ":")
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{"-h", host, "-p", port, "--tls", "--cacert", authority.File, "--no-auth-warning"}, args...)
		r := harness.Run(t, harness.Command{Path: path, Args: args})
		return r.Stdout + r.Stderr
	}
	boss := []string{"--user", "boss", "--pass", secretOf("boss")}
	for _, step := range []struct {
		args []string
		want []string
	}{
		{[]string{"ping"}, []string{"NOAUTH"}},
		{[]string{"-a", secretOf("nobody"), "ping"}, []string{"WRONGPASS", "NOAUTH"}},
		{[]string{"-a", secretOf("boss"), "set", "a", "1"}, []string{"OK"}},
		{[]string{"-a", secretOf("reader"), "get", "a"}, []string{"1"}},
		{[]string{"-a", secretOf("reader"), "set", "a", "2"}, []string{"NOPERM", "reader", "'set'"}},
		{append(boss, "-3", "get", "a"), []string{"1"}},
		{append(boss, "client", "list"), []string{"user=boss", "cmd=client|list", "addr=127.0.0.1:"}},
		{append(boss, "info"), []string{"redis_version:", "stated_version:", "# Keyspace", "loading:0", "role:master"}},
		{append(boss, "info", "server"), []string{"redis_mode:standalone"}},
		{append(boss, "command", "docs", "state.save"), []string{"summary", "arguments", "IFREV", "pure-token"}},
		{append(boss, "help", "state.save"), []string{"STATE.SAVE", "id json [IFREV revision|IFABSENT|IFEXISTS]", "summary"}},
		{append(boss, "config", "get", "save"), []string{"save"}},
		{append(boss, "--bigkeys"), []string{"1 strings with 1 bytes"}},
		{append(boss, "--scan", "--pattern", "a*"), []string{"a"}},
	} {
		wantText(t, run(step.args...), step.want...)
	}
}

// TestRedisBenchmark runs the load generator of Redis, which stops at nothing but tells of errors.
func TestRedisBenchmark(t *testing.T) {
	path := tool(t, "redis-benchmark")
	d := harness.Start(t, harness.File(t))
	host, port, _ := strings.Cut(d.Addr, ":")
	for _, args := range [][]string{
		{"-n", "20000", "-c", "50", "-P", "16", "-r", "1000", "set", "agent:__rand_int__", `{"x":1}`},
		{"-n", "20000", "-c", "50", "-P", "16", "-r", "1000", "get", "agent:__rand_int__"},
		{"-n", "20000", "-c", "50", "-t", "ping,get"},
		{"-n", "5000", "-c", "50", "-P", "4", "--threads", "2", "-r", "1000", "state.load", "agent:__rand_int__"},
	} {
		r := harness.Run(t, harness.Command{Path: path, Args: append([]string{"-h", host, "-p", port, "--csv"}, args...)})
		all := r.Stdout + r.Stderr
		if r.Code != 0 || strings.Contains(strings.ToLower(all), "error") || strings.Contains(all, "WARN") || !strings.Contains(all, `"rps"`) {
			t.Errorf("redis-benchmark %v: exit code %d\n%s", args, r.Code, all)
		}
		t.Log(strings.TrimSpace(r.Stdout))
	}
	c := dialRaw(t, d.Addr)
	if n, ok := c.do("STATE.COUNT", "PREFIX", "agent:").(int64); !ok || n < 500 || n > 1000 {
		t.Errorf("it left %d agents of a thousand", n)
	}
	wantReply(t, c.do("CONFIG", "GET", "appendonly").([]any)[1], "yes")
	refused := harness.Run(t, harness.Command{Path: path, Args: []string{"-h", host, "-p", port, "-n", "10", "set", "a", "no JSON"}})
	wantText(t, refused.Stdout+refused.Stderr, "INVALID") // so that it does tell of errors
	d.Stop(t)
}

const pythonSecured = `
import sys, threading, redis
host, port, authority, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
def connect(**o):
    return redis.Redis(host=host, port=port, ssl=True, ssl_ca_certs=authority, socket_timeout=40, retry=None, **o)
for who in ({"password": secret}, {"username": "boss", "password": secret}):
    c = connect(**who)
    assert c.ping()
for wrong in ({}, {"password": secret + "x"}, {"username": "king", "password": secret}):
    try:
        connect(**wrong).get("a")
        raise SystemExit("%r may read" % list(wrong))
    except (redis.AuthenticationError, redis.ResponseError) as e:
        assert secret not in str(e), "an error tells the token"
# No transaction: many commands in one go, each by itself.
with c.pipeline(transaction=False) as p:
    for i in range(500):
        p.set("p%d" % i, i)
    p.set("bad", "{")
    p.get("p499")
    replies = p.execute(raise_on_error=False)
assert replies[:500] == [True] * 500 and replies[501] == b"499", replies[-2:]
assert isinstance(replies[500], redis.ResponseError) and str(replies[500]).startswith("INVALID"), replies[500]
# Contenders add to one number by the helper for WATCH.
c.set("sum", 0)
def add(p):
    n = int(p.get("sum"))
    p.multi()
    p.set("sum", n + 1)
failures = []
def contend():
    try:
        own = connect(password=secret)
        for _ in range(25):
            own.transaction(add, "sum")
    except BaseException as e:
        failures.append(e)
threads = [threading.Thread(target=contend) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert not failures, failures
assert c.get("sum") == b"100", c.get("sum")
print("done", redis.__version__)
`

// TestRedisPython_Secured is TestRedisPython over TLS with a token, pipelines, and contenders.
func TestRedisPython_Secured(t *testing.T) {
	python := pythonWithRedis(t)
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	d := startSecured(t, dir, tokens(t, dir, "boss=admin")+fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key))
	host, port, _ := strings.Cut(d.Addr, ":")
	script := filepath.Join(dir, "client.py")
	writeFile(t, script, pythonSecured)
	r := harness.Run(t, harness.Command{Path: python, Args: []string{script, host, port, authority.File, secretOf("boss")}})
	if r.Code != 0 || !strings.HasPrefix(r.Stdout, "done") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}
