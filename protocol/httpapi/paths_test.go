package httpapi_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// oddIDs are ids that have to be percent-encoded, or look as if they were something else.
var oddIDs = []string{
	"a/b", "/", "//", ".", "..", "a/../b", "%2F", "%", "a b", "a+b", "?", "#", "a?b=c#d", "&", `"`, `\`, "é", "日本", "😀", ":", "@", "*",
	"{id}", "agents", strings.Repeat("x", 512), strings.Repeat("/", 512), "\u2028", "\u00a0",
}

func TestOddIDs(t *testing.T) {
	m := protocoltest.New()
	s := serve(t, m, httpapi.Options{})
	for _, id := range oddIDs {
		path := "/v1/agents/" + url.PathEscape(id)
		if id == "." || id == ".." {
			path = "/v1/agents/" + strings.ReplaceAll(id, ".", "%2E")
		}
		if a := s.ask("PUT", path, `"`+"x"+`"`); a.status != 201 || a.json(t)["agent_id"] != id {
			t.Errorf("%q: %d %s", id, a.status, a.body)
		}
		s.want(s.ask("GET", path, ""), 200, `"x"`)
	}
	if m.Len() != len(oddIDs) {
		t.Errorf("%d agents, want %d", m.Len(), len(oddIDs))
	}
	w := s.connect()
	w.send("GET /v1/agents/.. HTTP/1.1\r\nHost: localhost\r\n\r\n") // as it is, without a client that cleans it
	if a := w.reply("GET"); a.status != 200 {
		t.Errorf("..: %d %s", a.status, a.body)
	}
}

// TestOddIDs_HalfEscaped: curl sends a path as it was typed, so characters that should be escaped stand beside %2F.
func TestOddIDs_HalfEscaped(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	for path, id := range map[string]string{
		`a%2F"b"`: `a/"b"`, "a%2Fé": "a/é", "%2F{x}|^`": "/{x}|^`", `%2F\`: `/\`, `%252F"`: `%2F"`, "a%2fb": "a/b", "é": "é",
	} {
		w := s.connect()
		w.send("PUT /v1/agents/" + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
		if a := w.reply("PUT"); a.status != 201 || a.json(t)["agent_id"] != id {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestBadIDs(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	for path, want := range map[string]struct {
		status   int
		contains string
	}{
		"/v1/agents/":                            {404, "one segment"},
		"/v1/agents/a/b":                         {404, "%2F"},
		"/v1/agents/a/":                          {404, "%2F"},
		"/v1/agents//":                           {404, "%2F"},
		"/v1/agents/%00":                         {400, "control character"},
		"/v1/agents/%7F":                         {400, "control character"},
		"/v1/agents/%FF":                         {400, "UTF-8"},
		"/v1/agents/" + strings.Repeat("x", 513): {400, "513 bytes"},
		"/v1/agent":                              {404, "/openapi.yaml"},
		"/":                                      {404, "/openapi.yaml"},
		"/v1/agents/a?x=1":                       {400, `\"x\"`},
		"/v1/agents/a?%zz":                       {400, "not encoded"},
		"/v1/agents?limit=1&limit=2":             {400, "2 times"},
		"/v1/agents?limit=0":                     {400, "1 to 10000"},
		"/v1/agents?limit=10001":                 {400, "1 to 10000"},
		"/v1/agents?limit=":                      {400, "1 to 10000"},
		"/v1/agents?limit=1e3":                   {400, "1 to 10000"},
		"/v1/agents?prefix=%01":                  {400, "control character"},
		"/v1/agents?Prefix=a":                    {400, "want prefix, after, limit"},
		"/v1/count?after=a":                      {400, "want prefix"},
		"/livez?verbose":                         {400, "has none"},
	} {
		s.want(s.ask("GET", path, ""), want.status, want.contains)
	}
}

func TestMethods(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	for path, allowed := range map[string]string{
		"/v1/agents/a": "DELETE, GET, HEAD, OPTIONS, PUT", "/v1/agents": "DELETE, GET, HEAD, OPTIONS", "/v1/count": "GET, HEAD, OPTIONS",
		"/v1/transactions": "OPTIONS, POST", "/v1/info": "GET, HEAD, OPTIONS", "/metrics": "GET, HEAD, OPTIONS", "/livez": "GET, HEAD, OPTIONS",
	} {
		a := s.ask("PATCH", path, "")
		s.want(a, 405, `"code":"INVALID"`)
		if got := a.header.Get("Allow"); got != allowed {
			t.Errorf("%s: Allow is %q, want %q", path, got, allowed)
		}
		a = s.ask("OPTIONS", path, "")
		if got := a.header.Get("Allow"); a.status != 204 || got != allowed {
			t.Errorf("OPTIONS %s: %d, Allow is %q", path, a.status, got)
		}
	}
}
