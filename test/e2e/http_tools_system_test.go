//go:build system

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// curl runs the program in a folder of its own, and gives what it printed: the body, and behind it the status.
type curl struct {
	t    *testing.T
	path string
	dir  string
	args []string // of every run
}

func (c curl) wants(want string, args ...string) {
	c.t.Helper()
	args = append(append([]string{"-sS", "-w", "|%{http_code}"}, c.args...), args...)
	r := harness.Run(c.t, harness.Command{Path: c.path, Args: args, Dir: c.dir, Env: []string{"HOME=" + c.dir}})
	if got := r.Stdout; r.Code != 0 || !strings.Contains(got, want) {
		c.t.Errorf("curl %q: exit code %d, %.500q %q, want %q", args, r.Code, got, r.Stderr, want)
	}
}

// TestCurl is a session as the README shows it, and what else curl can do with a state.
func TestCurl(t *testing.T) {
	d := harness.Start(t, harness.File(t), "--set", "limits.state_bytes=1MiB")
	c := curl{t: t, path: tool(t, "curl"), dir: t.TempDir()}
	url := "http://" + d.HTTP + "/v1/agents/"
	c.wants(`"revision":1,`, "-X", "PUT", url+"bob", "-d", `{"turn":1}`)
	c.wants(`{"turn":1}|200`, url+"bob")
	c.wants("|412", "-X", "PUT", url+"bob", "-H", "If-None-Match: *", "-d", "2")
	c.wants(`"current_revision":1}`, "-X", "PUT", url+"bob", "-H", `If-Match: "7"`, "-d", "2")
	c.wants("|200", "-X", "PUT", url+"bob", "-H", `If-Match: "1"`, "-d", "2")
	c.wants("|201", "-X", "PUT", url+"carl", "-H", "If-None-Match: *", "-d", "[3]")

	// The tag of the first transfer spares the second one, until there is something new.
	tags := []string{"--etag-compare", "tag", "--etag-save", "tag", "-o", "state"}
	c.wants("|200", append(tags, url+"bob")...)
	c.wants("|304", append(tags, url+"bob")...)
	c.wants("|200", "-X", "PUT", url+"bob", "-d", "3")
	c.wants("|200", append(tags, url+"bob")...)

	c.wants("Etag: \"", "-I", url+"bob")
	c.wants("Content-Length: 1\r\n", "-I", url+"bob")
	c.wants("|404", "-I", url+"nobody")
	c.wants(`"code":"NOT_FOUND"`, url+"nobody")
	c.wants(`"code":"INVALID"`, "-X", "PUT", url+"bob", "-d", "{")
	c.wants("|405", "-X", "PATCH", url+"bob", "-d", "1")
	c.wants("\r\nAllow: DELETE, GET, HEAD, OPTIONS, PUT\r\n", "-i", "-X", "PATCH", url+"bob", "-d", "1")

	large := filepath.Join(c.dir, "large.json")
	writeFile(t, large, string(largeState(1<<20, 1)))
	c.wants("|201", "-T", large, url+"large")
	c.wants("|200", "-T", large, "-H", "Transfer-Encoding: chunked", url+"large")
	writeFile(t, large, string(largeState(1<<20+1, 1)))
	c.wants("|413", "-T", large, url+"large")
	c.wants("|413", "-T", large, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", url+"large")

	c.wants("|200", "-X", "DELETE", url+"large", "-H", `If-Match: *`)
	c.wants("|404", "-X", "DELETE", url+"large")
	c.wants(`"next":"bob"}`, "-G", "http://"+d.HTTP+"/v1/agents", "-d", "limit=1")
	c.wants(`"next":null}`, "-G", "http://"+d.HTTP+"/v1/agents", "-d", "limit=1", "-d", "after=bob")
	c.wants(`"count":1}`, "-G", "http://"+d.HTTP+"/v1/count", "-d", "prefix=c")
	transactions := "http://" + d.HTTP + "/v1/transactions"
	c.wants("|200", transactions, "-d", `{"ops":[{"op":"delete","agent_id":"bob"},{"op":"save","agent_id":"dora","state":[]}]}`)
	c.wants(`"index":1`, transactions, "-d", `{"ops":[{"op":"delete","agent_id":"dora"},{"op":"check","agent_id":"carl","if":"absent"}]}`)
	c.wants("[]|200", url+"dora")
	c.wants("a%2Fb", "-X", "PUT", "--path-as-is", "-o", "-", "-w", "%{url_effective}", url+"a%2Fb", "-d", "1")
	c.wants(`"a/b"`, "http://"+d.HTTP+"/v1/agents")
	c.wants("stated_build_info", "http://"+d.HTTP+"/metrics")
	c.wants("[+] store: ok\n", "http://"+d.HTTP+"/readyz?verbose")
	c.wants("|403", "http://"+d.HTTP+"/v1/agents", "-H", "Host: example.org")
	c.wants(`"deleted":3`, "-X", "DELETE", "http://"+d.HTTP+"/v1/agents?confirm=all")
	d.Stop(t)
}

// TestCurl_Secured reaches a daemon with tokens over TLS, and over a socket of the file system.
func TestCurl_Secured(t *testing.T) {
	dir := shortDir(t)
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	d := startSecured(t, dir, tokens(t, dir, "boss=admin")+fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key),
		"--http", "127.0.0.1:0,unix:"+filepath.Join(dir, "http"))
	c := curl{t: t, path: tool(t, "curl"), dir: t.TempDir()}
	c.args = []string{"--cacert", authority.File, "-H", "Authorization: Bearer " + secretOf("boss")}
	c.wants("|201", "-X", "PUT", "https://"+d.HTTP+"/v1/agents/bob", "-d", "1")
	c.wants("1|200", "--oauth2-bearer", secretOf("boss"), "https://localhost:"+d.HTTP[strings.LastIndex(d.HTTP, ":")+1:]+"/v1/agents/bob")
	c.wants("1|200", "--unix-socket", filepath.Join(dir, "http"), "http://stated/v1/agents/bob")
	c.args = []string{"--cacert", authority.File}
	c.wants("|401", "https://"+d.HTTP+"/v1/agents/bob")
	c.wants("|401", "--oauth2-bearer", secretOf("nobody"), "https://"+d.HTTP+"/v1/agents/bob")
	c.wants("|200", "https://"+d.HTTP+"/livez")
	stranger := harness.Run(t, harness.Command{Path: c.path, Args: []string{"-sS", "https://" + d.HTTP + "/livez"}})
	if stranger.Code != 60 { // the certificate cannot be authenticated
		t.Errorf("curl without the authority: %+v", stranger)
	}
}

const urllibClient = `
import json, sys, threading, urllib.error, urllib.request
url = sys.argv[1] + "/v1/agents/sum"
def call(method="GET", body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=40) as reply:
        return reply.headers["ETag"], json.load(reply)
call("PUT", b'{"sum":0}', If_None_Match="*")
failures, conflicts = [], []
def add():
    while True:
        revision, state = call()
        state["sum"] += 1
        try:
            return call("PUT", json.dumps(state).encode(), If_Match=revision)
        except urllib.error.HTTPError as e:
            problem = json.load(e)
            assert e.code == 412 and problem["code"] == "CONFLICT" and problem["outcome"] == "conflict", problem
            assert problem["current_revision"] > int(revision.strip('"')), problem
            assert e.headers["Content-Type"] == "application/problem+json", e.headers
            conflicts.append(problem)
def contend():
    try:
        for _ in range(50):
            add()
    except BaseException as e:
        failures.append(repr(e))
threads = [threading.Thread(target=contend) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert not failures, failures
assert call()[1] == {"sum": 200}, call()
for body, code in ((b"{", 400), (b"", 400), (b'"' + b"x" * (8 << 20) + b'"', 413)):
    try:
        call("PUT", body)
        raise SystemExit("%.10r is taken" % body)
    except urllib.error.HTTPError as e:
        problem = json.load(e)
        assert (e.code, problem["status"], problem["code"], problem["outcome"]) == (code, code, "INVALID", "not_applied"), problem
assert call()[1] == {"sum": 200}, call()
print("done", len(conflicts), "conflicts")
`

// TestURLLib is Python's standard library with an optimistic loop of four threads: nothing is lost.
func TestURLLib(t *testing.T) {
	d := harness.Start(t, harness.File(t))
	r := harness.Run(t, harness.Command{Path: tool(t, "python3"), Args: []string{"-c", urllibClient, "http://" + d.HTTP}})
	if r.Code != 0 || !strings.HasPrefix(r.Stdout, "done") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	t.Log(strings.TrimSpace(r.Stdout))
	d.Stop(t)
}
