package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// TestProblems is the table of errors of the contract: every code with its status, its outcome and its facts.
func TestProblems(t *testing.T) {
	cases := map[protocol.Code]struct {
		status  int
		outcome string
		facts   []protocol.Fact
	}{
		protocol.CodeNotFound:        {404, "not_applied", nil},
		protocol.CodeConflict:        {412, "conflict", []protocol.Fact{{Key: "current_revision", Value: "17"}, {Key: "index", Value: "2"}}},
		protocol.CodeInvalid:         {400, "not_applied", []protocol.Fact{{Key: "offset", Value: "3"}}},
		protocol.CodeUnauthenticated: {401, "not_applied", nil},
		protocol.CodeForbidden:       {403, "not_applied", nil},
		protocol.CodeOverloaded:      {503, "not_applied", nil},
		protocol.CodeLocked:          {503, "not_applied", []protocol.Fact{{Key: "attempts", Value: "6"}, {Key: "elapsed", Value: "31.5s"}}},
		protocol.CodeCanceled:        {499, "not_applied", nil},
		protocol.CodeUnknown:         {500, "unknown", nil},
		protocol.CodeUnavailable:     {503, "not_applied", []protocol.Fact{{Key: "owner_pid", Value: "4711"}}},
		protocol.CodeFull:            {507, "not_applied", nil},
		protocol.CodeIO:              {500, "not_applied", nil},
		protocol.CodeCorrupt:         {500, "not_applied", nil},
		protocol.CodeReadOnly:        {503, "not_applied", nil},
		protocol.CodeInternal:        {500, "not_applied", nil},
	}
	for _, code := range protocol.Codes() {
		t.Run(string(code), func(t *testing.T) {
			tc, ok := cases[code]
			if !ok {
				t.Fatal("no case for this code")
			}
			s := serve(t, failing(&protocol.Error{Code: code, Message: `it said "no" <é>`, Facts: tc.facts}), httpapi.Options{})
			for _, path := range []string{"/v1/agents/a", "/v1/agents", "/v1/info"} {
				a := s.ask("GET", path, "", "X-Request-Id", "mine")
				want := map[string]any{
					"type": "about:blank", "code": string(code), "detail": `it said "no" <é>`, "outcome": tc.outcome,
					"status": json.Number(fmt.Sprint(tc.status)), "request_id": "mine", "title": a.json(t)["title"],
				}
				for _, f := range tc.facts {
					want[f.Key] = json.Number(f.Value)
					if f.Key == "elapsed" {
						want[f.Key] = f.Value
					}
				}
				if diff := cmp.Diff(want, a.json(t)); diff != "" || want["title"] == "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
				retry := map[protocol.Code]string{protocol.CodeOverloaded: "1", protocol.CodeLocked: "1"}[code]
				if a.status != tc.status || a.header.Get("Retry-After") != retry || a.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: status %d, headers %v", path, a.status, a.header)
				}
			}
			if a := s.ask("HEAD", "/v1/agents/a", ""); a.status != tc.status || a.body != "" {
				t.Errorf("HEAD: %d %q", a.status, a.body)
			}
		})
	}
}

func TestProblems_TooLarge(t *testing.T) {
	s := serve(t, failing(protocol.Errorf(protocol.CodeInvalid, "too much").With(protocol.FactTooLarge, "1")), httpapi.Options{})
	s.want(s.ask("GET", "/v1/agents/a", ""), 413, `"too_large":1`)
}

func TestRefused(t *testing.T) {
	refused := make(chan protocol.Code, 9)
	m := failing(protocol.Errorf(protocol.CodeLocked, "locked"))
	s := serve(t, m, httpapi.Options{Refused: func(c protocol.Code) { refused <- c }, Tokens: tokens(t)})
	s.ask("GET", "/v1/agents/a", "", "Authorization", "Bearer "+readerSecret) // the handler's own error
	s.ask("GET", "/v1/agents/a?x=1", "", "Authorization", "Bearer "+readerSecret)
	s.ask("GET", "/v1/agents/a", "")
	s.ask("PUT", "/v1/agents/a", "1", "Authorization", "Bearer "+readerSecret)
	var got []protocol.Code
	for len(refused) > 0 {
		got = append(got, <-refused)
	}
	want := []protocol.Code{protocol.CodeInvalid, protocol.CodeUnauthenticated, protocol.CodeForbidden}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequestID(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	seen := map[string]bool{}
	for _, bad := range []string{"", "a b", strings.Repeat("x", 129), "é"} {
		id := s.ask("GET", "/livez", "", "X-Request-Id", bad).header.Get("X-Request-Id")
		if len(id) != 32 || seen[id] {
			t.Errorf("for %q: %q", bad, id)
		}
		seen[id] = true
	}
	good := strings.Repeat("x", 128)
	a := s.ask("GET", "/v1/agents/none", "", "X-Request-Id", good)
	if a.header.Get("X-Request-Id") != good || a.json(t)["request_id"] != good {
		t.Errorf("%v %s", a.header, a.body)
	}
}
