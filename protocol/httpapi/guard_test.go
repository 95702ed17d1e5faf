package httpapi_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// TestRoles asks for each route with each role. It goes by the table of routes, so nothing is left out.
func TestRoles(t *testing.T) {
	needed := map[string]auth.Role{
		"PUT /v1/agents/{id}": auth.RoleWrite, "GET /v1/agents/{id}": auth.RoleRead, "DELETE /v1/agents/{id}": auth.RoleWrite,
		"GET /v1/agents": auth.RoleRead, "DELETE /v1/agents": auth.RoleAdmin, "GET /v1/count": auth.RoleRead,
		"POST /v1/transactions": auth.RoleRead, "GET /v1/info": auth.RoleRead, "GET /metrics": auth.RoleRead,
		"GET /livez": auth.RoleNone, "GET /healthz": auth.RoleNone, "GET /readyz": auth.RoleNone, "GET /openapi.yaml": auth.RoleNone,
	}
	s := serve(t, protocoltest.New(), httpapi.Options{Tokens: tokens(t)})
	for _, r := range httpapi.Routes() {
		role, ok := needed[r.Method+" "+r.Path]
		if !ok || role != r.Role || r.Open != (role == auth.RoleNone) {
			t.Errorf("%s %s: role %v, open %v; the test has %v, %v", r.Method, r.Path, r.Role, r.Open, role, ok)
			continue
		}
		path := strings.Replace(r.Path, "{id}", "a", 1)
		body := ""
		if path == transactions {
			body = `{"ops":[{"op":"load","agent_id":"a"}]}`
		}
		methods := []string{r.Method}
		if r.Method == "GET" {
			methods = append(methods, "HEAD")
		}
		for _, method := range methods {
			for has := auth.RoleNone; has <= auth.RoleAdmin; has++ {
				var headers []string
				if has != auth.RoleNone {
					headers = []string{"Authorization", "Bearer " + secrets[has]}
				}
				status := s.ask(method, path, body, headers...).status
				allowed := status != 401 && status != 403
				if allowed != (has >= role) || !allowed && (status == 401) != (has == auth.RoleNone) {
					t.Errorf("%s %s with the role %v: %d", method, path, has, status)
				}
			}
		}
	}
}

// TestRoles_Transaction: what a transaction does counts.
func TestRoles_Transaction(t *testing.T) {
	m := protocoltest.New()
	s := serve(t, m, httpapi.Options{Tokens: tokens(t)})
	const body = `{"ops":[{"op":"load","agent_id":"a"},{"op":"save","agent_id":"a","state":1}]}`
	s.want(s.ask("POST", transactions, body), 401, "UNAUTHENTICATED")
	s.want(s.ask("POST", transactions, body, "Authorization", "Bearer "+readerSecret), 403, `token \"reader\" has the role read, and this needs write`)
	if m.Len() != 0 {
		t.Error("it was saved")
	}
	s.want(s.ask("POST", transactions, body, "Authorization", "Bearer "+writerSecret), 200, "")
}

func TestTokens(t *testing.T) {
	k := tokens(t)
	log, lines := logged()
	s := serve(t, protocoltest.New(), httpapi.Options{Tokens: k, Logger: log})
	bad := secretOf("bad")
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + bad}, {"Authorization", "Bearer"}, {"Authorization", "Bearer "},
		{"Authorization", "Basic " + readerSecret}, {"Authorization", readerSecret},
		{"Authorization", "Bearer " + readerSecret, "Authorization", "Bearer " + readerSecret},
	} {
		a := s.ask("GET", "/v1/agents", "", headers...)
		s.want(a, 401, `"code":"UNAUTHENTICATED"`)
		if a.header.Get("WWW-Authenticate") != `Bearer realm="stated"` {
			t.Errorf("%q: headers %v", headers, a.header)
		}
	}
	s.want(s.ask("GET", "/v1/agents", "", "Authorization", "bearer  "+readerSecret), 200, "")
	if err := k.Replace(auth.Token{Name: "reader", Secret: bad, Role: auth.RoleRead}); err != nil {
		t.Fatal(err)
	}
	s.want(s.ask("GET", "/v1/agents", "", "Authorization", "Bearer "+readerSecret), 401, "")
	s.want(s.ask("GET", "/v1/agents", "", "Authorization", "Bearer "+bad), 200, "")
	if text := lines.String(); !strings.Contains(text, "not good") || strings.Contains(text, bad) || strings.Contains(text, readerSecret) {
		t.Errorf("logged: %s", text)
	}
}

// TestTokens_NotNeeded: a client may have one all the same.
func TestTokens_NotNeeded(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	s.want(s.ask("DELETE", "/v1/agents?confirm=all", "", "Authorization", "Bearer x"), 200, "")
}

func secretOf(name string) string { return name + "-0123456789abcdef" }

// TestOrigin is about browsers that a web page has misled, on a loopback address.
func TestOrigin(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{Hosts: []string{"agents.example.org"}})
	_, port, _ := net.SplitHostPort(s.addr)
	for _, tc := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Host", "localhost"}, 200},
		{[]string{"Host", "LOCALHOST:" + port}, 200},
		{[]string{"Host", "localhost."}, 200},
		{[]string{"Host", "127.0.0.1"}, 200},
		{[]string{"Host", "127.1.2.3:99"}, 200},
		{[]string{"Host", "[::1]:7829"}, 200},
		{[]string{"Host", "agents.example.org"}, 200},
		{[]string{"Host", "Agents.Example.org:443"}, 200},
		{[]string{"Host", "evil.example.org"}, 403},
		{[]string{"Host", "localhost.evil.org"}, 403},
		{[]string{"Host", "127.0.0.1.evil.org"}, 403},
		{[]string{"Host", "10.0.0.1"}, 403},
		{[]string{"Origin", "http://" + s.addr}, 200},
		{[]string{"Origin", "http://localhost", "Host", "localhost"}, 200},
		{[]string{"Origin", "http://localhost:3000", "Host", "localhost:7829"}, 403},
		{[]string{"Origin", "https://" + s.addr}, 403},
		{[]string{"Origin", "http://evil.example.org"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "http://" + s.addr, "Origin", "http://evil.example.org"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "none"}, 200},
	} {
		for _, path := range []string{"/v1/agents", "/livez", "/v1/nothing"} {
			want := tc.status
			if path == "/v1/nothing" && want == 200 {
				want = 404
			}
			if a := s.ask("GET", path, "", tc.headers...); a.status != want {
				t.Errorf("%s with %q: %d %s, want %d", path, tc.headers, a.status, a.body, want)
			}
		}
	}
}

func TestOrigin_UnixSocket(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, l, protocoltest.New(), httpapi.Options{})
	s.want(s.ask("GET", "/v1/agents", "", "Host", "whatever"), 200, "")
	s.want(s.ask("GET", "/v1/agents", "", "Origin", "http://evil.example.org"), 403, "Origin")
}
