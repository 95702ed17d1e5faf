package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestTokens_HTTP asks for everything with every kind of token.
func TestTokens_HTTP(t *testing.T) {
	dir := t.TempDir()
	d := startSecured(t, dir, tokens(t, dir, "reader=read", "writer=write", "boss=admin"))
	saved := d.web(t, secretOf("writer")).wants(http.StatusCreated, `"revision":1`, "PUT", "/v1/agents/a", "1")
	tag := saved.header.Get("ETag")
	const txn = `{"ops":[{"op":"save","agent_id":"a","state":1},{"op":"load","agent_id":"a"}]}`
	const look = `{"ops":[{"op":"load","agent_id":"a"}]}`
	requests := []struct {
		method, path, body string
		least              int // the index of the first client who may
	}{
		{"GET", "/livez", "", 0},
		{"GET", "/readyz", "", 0},
		{"GET", "/openapi.yaml", "", 0},
		{"GET", "/v1/agents/a", "", 2},
		{"GET", "/readyz?verbose", "", 2},
		{"GET", "/v1/agents", "", 2},
		{"GET", "/v1/count", "", 2},
		{"GET", "/v1/info", "", 2},
		{"GET", "/metrics", "", 2},
		{"POST", "/v1/transactions", look, 2},
		{"PUT", "/v1/agents/a", "2", 3},
		{"POST", "/v1/transactions", txn, 3},
		{"DELETE", "/v1/agents/none", "", 3},
		{"DELETE", "/v1/agents?confirm=all", "", 4},
	}
	clients := []string{"", "no-such-token-at-all", secretOf("reader"), secretOf("writer"), secretOf("boss")}
	for i, token := range clients {
		w := d.web(t, token)
		for _, r := range requests {
			got := w.do(r.method, r.path, r.body)
			want := "" // allowed, whatever becomes of it
			switch {
			case i >= r.least:
			case i < 2:
				want = "UNAUTHENTICATED"
			default:
				want = "FORBIDDEN"
			}
			refused := got.status == http.StatusUnauthorized || got.status == http.StatusForbidden
			if want == "" && refused || want != "" && (got.code() != want || !refused) {
				t.Errorf("client %d: %s %s: %d %s, want %q", i, r.method, r.path, got.status, got.body, want)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (got.status == http.StatusUnauthorized) != strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("client %d: %s %s: %d with the challenge %q", i, r.method, r.path, got.status, challenge)
			}
		}
	}
	if again := d.web(t, secretOf("boss")).do("GET", "/v1/agents/a", ""); again.status != http.StatusNotFound || tag != `"1"` {
		t.Errorf("the clear of the last client has left %d %q", again.status, again.body)
	}
}

// TestServe_Exposed shows that a daemon without tokens can be reached from this machine alone.
func TestServe_Exposed(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:7828", "example.org:7828"} {
		for _, front := range []string{"redis", "http"} {
			t.Run(front+" "+addr, func(t *testing.T) {
				r := harness.CLI(t, "serve", "--db", filepath.Join(t.TempDir(), "agents.db"), "--"+front, addr)
				if r.Code != 2 || r.Stdout != "" || !strings.Contains(r.Stderr, "server."+front) || !strings.Contains(r.Stderr, "auth.tokens") {
					t.Errorf("exit code %d, %q, %q", r.Code, r.Stdout, r.Stderr)
				}
			})
		}
	}
	dir := t.TempDir()
	d := startSecured(t, dir, tokens(t, dir, "boss=admin"), "--http", "0.0.0.0:0")
	d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "tokens and states can be read on their way") })
	w := d.web(t, "")
	w.base = strings.Replace(w.base, "[::]", "127.0.0.1", 1)
	w.base = strings.Replace(w.base, "0.0.0.0", "127.0.0.1", 1)
	w.wants(http.StatusUnauthorized, "UNAUTHENTICATED", "GET", "/v1/agents/a", "")
	w.token = secretOf("boss")
	w.wants(http.StatusNotFound, "NOT_FOUND", "GET", "/v1/agents/a", "")

	d.write(t, "stated.yaml", "log: {level: info}\n")
	if e := d.reload(t); !e.Is("error", "not reloaded") || !strings.Contains(fmt.Sprint(e["error"]), "tokens") {
		t.Errorf("the last token was taken away: %v", e)
	}
	w.wants(http.StatusNotFound, "NOT_FOUND", "GET", "/v1/agents/a", "")
	w.token = ""
	w.wants(http.StatusUnauthorized, "UNAUTHENTICATED", "GET", "/v1/agents/a", "")
}

// TestServe_BadTokens names the token that is wrong, at the start, and never what it is.
func TestServe_BadTokens(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		writeFile(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	const good = "0123456789abcdef-good"
	goodFile := file("good", good)
	for name, tc := range map[string]struct {
		tokens string
		want   string
	}{
		"a file that is missing": {"[{name: ops, token_file: " + dir + "/none, role: read}]", dir + "/none"},
		"an empty file":          {"[{name: ops, token_file: " + file("empty", " \n") + ", role: read}]", "empty"},
		"a short token":          {"[{name: ops, token: sesame-short, role: read}]", "ops"},
		"a short token, in a file": {
			"[{name: ops, token_file: " + file("short", "sesame-short") + ", role: read}]", "16 to 512"},
		"a blank in it":     {"[{name: ops, token_file: " + file("blank", "sesame sesame sesame") + ", role: read}]", "byte 6"},
		"no role":           {"[{name: ops, token: " + good + "}]", "role"},
		"a role that none":  {"[{name: ops, token: " + good + ", role: sesame}]", "role"},
		"no token":          {"[{name: ops, role: read}]", "token_file"},
		"two at once":       {"[{name: ops, token: " + good + ", token_file: " + goodFile + ", role: read}]", "ops"},
		"two of one name":   {"[{name: ops, token: " + good + ", role: read}, {name: ops, token: x" + good + ", role: read}]", "two tokens"},
		"two that are same": {"[{name: a, token: " + good + ", role: read}, {name: b, token: " + good + ", role: read}]", "same"},
		"a text":            {good, "auth.tokens"},
		"a token alone":     {"[" + good + "]", "auth.tokens"},
		"a member too many": {"[{name: ops, token: " + good + ", role: read, sesame: 1}]", "auth.tokens"},
		"broken":            {"[{name: ops, token: " + good, ""},
		"a name with blank": {"[{name: a b, token: " + good + ", role: read}]", "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "stated.yaml")
			writeFile(t, config, "auth:\n  tokens: "+tc.tokens+"\n")
			for _, c := range []harness.Command{
				{Args: []string{"--config", config}},
				{Env: []string{"STATED_AUTH__TOKENS=" + tc.tokens}},
			} {
				c.Args = append([]string{"serve", "--db", filepath.Join(t.TempDir(), "agents.db"), "--redis", "127.0.0.1:0"}, c.Args...)
				r := harness.Run(t, c)
				if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "stated: ") || !strings.Contains(r.Stderr, tc.want) {
					t.Errorf("exit code %d, %q, %q; want %q", r.Code, r.Stdout, r.Stderr, tc.want)
				}
				if strings.Contains(r.Stderr, good) || strings.Contains(r.Stderr, "sesame-short") || strings.Contains(r.Stderr, "sesame sesame") {
					t.Errorf("the message tells the token: %q", r.Stderr)
				}
			}
		})
	}
}
