package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// FuzzQuery sends any method, path, query and condition. None may be the server's fault, and each answer is complete.
func FuzzQuery(f *testing.F) {
	for _, r := range httpapi.Routes() {
		f.Add(r.Method, strings.Replace(r.Path, "{id}", "a", 1), "", "*", `{"ops":[{"op":"load","agent_id":"a"}]}`)
	}
	f.Add("PUT", "/v1/agents/%2e%2F%00", "prefix=%ff&after=&limit=9", `"1", W/"2"`, "[]")
	f.Add("GET", "/v1/agents", "limit=99999999999999999999&limit", `"`, "")
	f.Add("DELETE", "//v1/../agents/", "confirm=all", ",,", "")
	f.Fuzz(func(t *testing.T, method, path, query, condition, body string) {
		m := protocoltest.New()
		m.Put("a", "[1]")
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", strings.NewReader(body))
		r.Method = method
		unescaped, err := url.PathUnescape(path)
		if err != nil {
			unescaped = path
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = unescaped, path, query
		r.Header.Set("If-Match", condition)
		w := httptest.NewRecorder()
		httpapi.New(m, httpapi.Options{StateBytes: 1000, RequestBytes: 2000}).ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Errorf("%q %q %q: %d %s", method, path, query, w.Code, w.Body)
		}
		if w.Code >= 400 && method != http.MethodHead {
			var p struct{ Code, Outcome, Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code == "" || p.Outcome == "" || p.Detail == "" {
				t.Errorf("%q %q %q: %d %s: %v", method, path, query, w.Code, w.Body, err)
			}
		}
	})
}

// FuzzTransaction: what is accepted was understood as encoding/json understands it, and states pass byte for byte.
func FuzzTransaction(f *testing.F) {
	for _, body := range []string{
		`{"ops":[{"op":"save","agent_id":"a","state":{"x":1.0}},{"op":"load","agent_id":"a"}]}`,
		`{"ops":[{"op":"save","agent_id":"\u00e9\ud83d\ude00","state":"\ud800","if":"absent"}]}`,
		`{"ops":[{"op":"delete","agent_id":"a","if_revision":1},{"op":"stat","agent_id":"a"},{"op":"check","agent_id":"a","if":"exists"}]}`,
		`{"ops":[{"op":"save","agent_id":"a","state":1,"State":2}]}`, `{"ops":[],"ops":[]}`, "\xff", "[", "{}",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m := protocoltest.New()
		r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/transactions", strings.NewReader(body))
		w := httptest.NewRecorder()
		httpapi.New(m, httpapi.Options{}).ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%q: %d %s", body, w.Code, w.Body)
		}
		if w.Code != http.StatusOK {
			return
		}
		var asked struct {
			Ops []struct {
				Op    string
				ID    string `json:"agent_id"`
				State json.RawMessage
			}
		}
		var got struct {
			Results []struct {
				Op    string
				ID    string `json:"agent_id"`
				State json.RawMessage
				Found bool
			}
		}
		if err := json.Unmarshal([]byte(body), &asked); err != nil {
			t.Fatalf("%q was accepted: %v", body, err)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Results) != len(asked.Ops) || !utf8.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: %s: %v", body, w.Body, err)
		}
		states := map[string]string{}
		for i, op := range asked.Ops {
			result := got.Results[i]
			if result.Op != op.Op || result.ID != op.ID || protocol.ValidateID(op.ID) != nil {
				t.Errorf("%q: operation %d is %q of %q, answered for %q of %q", body, i, op.Op, op.ID, result.Op, result.ID)
			}
			switch op.Op {
			case "save":
				states[op.ID] = string(op.State)
			case "delete":
				delete(states, op.ID)
			case "load":
				if state, found := states[op.ID]; state != string(result.State) || found != result.Found {
					t.Errorf("%q: operation %d loaded %q, %v; want %q", body, i, result.State, result.Found, state)
				}
			}
		}
	})
}
