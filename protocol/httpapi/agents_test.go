package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

func TestSaveLoadDelete(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	const state = " {\"a\": [1.50, \"\\u0041<>&\"]}\r\n"
	a := s.ask("PUT", "/v1/agents/alice", state, "Content-Type", "text/plain")
	s.want(a, 201, `{"agent_id":"alice","revision":1,"updated_at":"2023-11-14T22:13:20.123Z"}`)
	if a.header.Get("ETag") != `"1"` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
	s.want(s.ask("PUT", "/v1/agents/alice", state), 200, `"revision":2`)
	for _, method := range []string{"GET", "HEAD"} {
		a := s.ask(method, "/v1/agents/alice", "")
		want := map[string]string{
			"ETag": `"2"`, "Content-Length": fmt.Sprint(len(state)), "Content-Type": "application/json", "Cache-Control": "no-cache",
			"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT", "Stated-Updated-At": "2023-11-14T22:13:20.123Z",
			"X-Content-Type-Options": "nosniff", "Content-Encoding": "", "Accept-Ranges": "none",
		}
		for name, value := range want {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", method, name, got, value)
			}
		}
		if body := map[string]string{"GET": state}[method]; a.status != 200 || a.body != body {
			t.Errorf("%s: %d %q", method, a.status, a.body)
		}
	}
	s.want(s.ask("DELETE", "/v1/agents/alice", ""), 200, `{"agent_id":"alice","revision":3}`)
	s.want(s.ask("DELETE", "/v1/agents/alice", ""), 404, `"code":"NOT_FOUND"`)
	s.want(s.ask("GET", "/v1/agents/alice", ""), 404, `"outcome":"not_applied"`)
	s.want(s.ask("HEAD", "/v1/agents/alice", ""), 404, "")
}

// TestLength: the length of a state is told in front of it, whatever it is, so that half of one is not taken for the whole.
func TestLength(t *testing.T) {
	m := protocoltest.New()
	s := serve(t, m, httpapi.Options{})
	for _, size := range []int{0, 1, 2047, 2048, 2049, 3600, 3700, 3800, 3900, 4095, 4096, 4097, 1, 8192, 70_000, 1, 1 << 20} {
		state := strings.Repeat("1", size)
		m.Put("a", state)
		for method, body := range map[string]string{"GET": state, "HEAD": ""} {
			a := s.ask(method, "/v1/agents/a", "")
			if got := a.header.Get("Content-Length"); got != fmt.Sprint(size) || a.body != body {
				t.Errorf("%s of %d bytes: Content-Length is %q, and %d bytes came", method, size, got, len(a.body))
			}
		}
	}
}

// TestUnknownTime: another program may have left a time that cannot be read.
func TestUnknownTime(t *testing.T) {
	m := protocoltest.New()
	m.Now = func() time.Time { return time.Time{} }
	s := serve(t, m, httpapi.Options{})
	s.want(s.ask("PUT", "/v1/agents/a", "1"), 201, `{"agent_id":"a","revision":1}`)
	if a := s.ask("GET", "/v1/agents/a", ""); a.header.Get("Last-Modified")+a.header.Get("Stated-Updated-At") != "" {
		t.Errorf("headers %v", a.header)
	}
	s.want(s.ask("GET", "/v1/agents", ""), 200, `"updated_at":null`)
}

func TestConditions(t *testing.T) {
	const current = `"current_revision":2`
	for _, tc := range []struct {
		method, headers string // "Name: value", one or more
		status          int
		contains        string
	}{
		{"PUT", `If-Match: "2"`, 200, `"revision":3`},
		{"PUT", `If-Match: "1"`, 412, current},
		{"PUT", `If-Match: "1", "2"`, 200, `"revision":3`},
		{"PUT", `If-Match: "1" ,,"2",`, 200, `"revision":3`},
		{"PUT", "If-Match: \"1\"\nIf-Match: \"2\"", 200, `"revision":3`},
		{"PUT", `If-Match: "1", "3"`, 412, current},
		{"PUT", `If-Match: W/"2"`, 412, current},
		{"PUT", `If-Match: W/"2", "2"`, 200, `"revision":3`},
		{"PUT", `If-Match: "abc"`, 412, current},
		{"PUT", `If-Match: "02"`, 412, current},
		{"PUT", `If-Match: "0"`, 412, current},
		{"PUT", `If-Match: "99999999999999999999"`, 412, current},
		{"PUT", `If-Match: *`, 200, `"revision":3`},
		{"PUT", `If-None-Match: *`, 412, current},
		{"PUT", `If-None-Match: "1"`, 400, "takes only *"},
		{"PUT", "If-Match: \"2\"\nIf-None-Match: *", 400, "want one of them"},
		{"PUT", `If-Match: 2`, 400, "in quotes"},
		{"PUT", `If-Match: "2`, 400, "in quotes"},
		{"PUT", `If-Match: "2" "3"`, 400, "in quotes"},
		{"PUT", `If-Match: *, "2"`, 400, "in quotes"},
		{"PUT", `If-Match: ,`, 400, "in quotes"},
		{"PUT", `If-Match: `, 400, "in quotes"},
		{"DELETE", `If-Match: "2"`, 200, `"revision":3`},
		{"DELETE", `If-Match: "1"`, 412, current},
		{"DELETE", `If-Match: "1", "2"`, 200, `"revision":3`},
		{"GET", `If-None-Match: "2"`, 304, ""},
		{"GET", `If-None-Match: W/"2"`, 304, ""},
		{"GET", `If-None-Match: "1", "2"`, 304, ""},
		{"GET", `If-None-Match: *`, 304, ""},
		{"GET", `If-None-Match: "1"`, 200, "[2]"},
		{"GET", `If-None-Match: nonsense`, 400, "in quotes"},
		{"GET", `If-Match: "2"`, 200, "[2]"},
		{"GET", `If-Match: "1"`, 412, current},
		{"GET", `If-Match: W/"2"`, 412, current},
		{"GET", "If-Modified-Since: Tue, 14 Nov 2033 22:13:20 GMT", 200, "[2]"},
		{"HEAD", `If-None-Match: "2"`, 304, ""},
		{"HEAD", `If-Match: "1"`, 412, ""},
	} {
		t.Run(tc.method+" "+tc.headers, func(t *testing.T) {
			m := protocoltest.New()
			m.Put("a", "[1]")
			m.Put("a", "[2]")
			s := serve(t, m, httpapi.Options{})
			var pairs []string
			for _, line := range strings.Split(tc.headers, "\n") {
				name, value, _ := strings.Cut(line, ": ")
				pairs = append(pairs, name, value)
			}
			a := s.ask(tc.method, "/v1/agents/a", map[string]string{"PUT": "[3]"}[tc.method], pairs...)
			s.want(a, tc.status, tc.contains)
			if tc.status == 304 && a.header.Get("ETag") != `"2"` {
				t.Errorf("headers %v", a.header)
			}
			changed := s.ask("GET", "/v1/agents/a", "").body != "[2]"
			if want := tc.status == 200 && (tc.method == "PUT" || tc.method == "DELETE"); changed != want {
				t.Errorf("changed: %v, want %v", changed, want)
			}
		})
	}
}

func TestConditions_Absent(t *testing.T) {
	for _, tc := range []struct {
		method, header, value string
		status                int
	}{
		{"PUT", "If-None-Match", "*", 201},
		{"PUT", "If-Match", "*", 412},
		{"PUT", "If-Match", `"1"`, 412},
		{"PUT", "If-Match", `"1", "2"`, 412},
		{"DELETE", "If-Match", `"1"`, 412},
		{"DELETE", "If-Match", `*`, 412},
		{"GET", "If-Match", `*`, 412},
		{"GET", "If-None-Match", `*`, 404},
	} {
		s := serve(t, protocoltest.New(), httpapi.Options{})
		contains := map[int]string{412: `"current_revision":0`, 404: "NOT_FOUND"}[tc.status]
		s.want(s.ask(tc.method, "/v1/agents/a", "1", tc.header, tc.value), tc.status, contains)
	}
}

// TestConditions_Race: the revision changes between the look at it and the write. The write must not happen.
func TestConditions_Race(t *testing.T) {
	m := protocoltest.New()
	m.Put("a", "[1]")
	s := serve(t, &changing{m}, httpapi.Options{})
	s.want(s.ask("PUT", "/v1/agents/a", "[9]", "If-Match", `"1", "7"`), 412, `"current_revision":2`)
}

// TestConditions_RaceOfReads: what is sent has the revision that was asked for, whatever happens meanwhile.
func TestConditions_RaceOfReads(t *testing.T) {
	for _, headers := range [][]string{{"If-Match", `"1"`}, {"If-Match", `"1"`, "If-None-Match", `"7"`}} {
		m := protocoltest.New()
		m.Put("a", "[1]")
		s := serve(t, &changing{m}, httpapi.Options{})
		if a := s.ask("GET", "/v1/agents/a", "", headers...); a.header.Get("ETag") != `"1"` && a.status != 412 {
			t.Errorf("%q: %d %s %q", headers, a.status, a.header.Get("ETag"), a.body)
		}
	}
}

// TestConditions_Unknown: a condition that is not understood, or not possible, must not look as if it had held.
func TestConditions_Unknown(t *testing.T) {
	const date = "Tue, 14 Nov 2023 22:13:20 GMT"
	for _, tc := range []struct {
		method, path, header, value string
		contains                    string
	}{
		{"PUT", "/v1/agents/a", "If-Unmodified-Since", date, "use If-Match"},
		{"DELETE", "/v1/agents/a", "If-Unmodified-Since", date, "use If-Match"},
		{"DELETE", "/v1/agents?confirm=all", "If-Match", `"1"`, "If-Match is given"},
		{"DELETE", "/v1/agents?confirm=all", "If-None-Match", `*`, "If-None-Match is given"},
		{"DELETE", "/v1/agents?confirm=all", "If-Unmodified-Since", date, "If-Unmodified-Since is given"},
		{"PUT", "/v1/agents/a", "Content-Range", "bytes 0-1/10", "in parts"},
	} {
		m := protocoltest.New()
		m.Put("a", "[1]")
		s := serve(t, m, httpapi.Options{})
		s.want(s.ask(tc.method, tc.path, "[2]", tc.header, tc.value), 400, tc.contains)
		s.want(s.ask("GET", "/v1/agents/a", "", "If-Unmodified-Since", date), 200, "[1]")
		s.want(s.ask("PUT", "/v1/agents/a", "[2]", "If-Match", `"1"`, "If-Unmodified-Since", date), 200, "")
	}
}

func TestList(t *testing.T) {
	m := protocoltest.New()
	for i := range 5 {
		m.Put(fmt.Sprintf("a%d", i), "1")
	}
	m.Put("b", "22")
	s := serve(t, m, httpapi.Options{})
	s.want(s.ask("GET", "/v1/agents?prefix=a&after=a1&limit=2", ""), 200,
		`{"agents":[{"agent_id":"a2","revision":3,"updated_at":"2023-11-14T22:13:20.123Z","bytes":1},`+
			`{"agent_id":"a3","revision":4,"updated_at":"2023-11-14T22:13:20.123Z","bytes":1}],"next":"a3"}`)
	s.want(s.ask("GET", "/v1/agents?prefix=a&after=a3&limit=2", ""), 200, `"bytes":1}],"next":null}`)
	s.want(s.ask("GET", "/v1/agents?prefix=z", ""), 200, `{"agents":[],"next":null}`)
	s.want(s.ask("GET", "/v1/count", ""), 200, `{"count":6}`)
	s.want(s.ask("GET", "/v1/count?prefix=a", ""), 200, `{"count":5}`)
	for _, query := range []string{"", "?confirm=", "?confirm=yes", "?confirm=All"} {
		s.want(s.ask("DELETE", "/v1/agents"+query, ""), 400, "confirm=all")
	}
	s.want(s.ask("DELETE", "/v1/agents?confirm=all", ""), 200, `{"deleted":6,"revision":7}`)
}

func TestTooLarge(t *testing.T) {
	m := protocoltest.New()
	s := serve(t, m, httpapi.Options{StateBytes: 100_000, RequestBytes: 200_000})
	state := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	s.want(s.ask("PUT", "/v1/agents/a", state(100_000)), 201, "")
	s.want(s.ask("PUT", "/v1/agents/b", state(100_001)), 413, `"too_large":1`)
	s.want(s.ask("POST", "/v1/transactions", `{"ops":[{"op":"save","agent_id":"b","state":`+state(100_000)+`}]}`), 200, "")
	s.want(s.ask("POST", "/v1/transactions", `{"ops":[{"op":"save","agent_id":"c","state":`+state(100_001)+`}]}`), 413, `"too_large":1`)
	s.want(s.ask("POST", "/v1/transactions", state(200_001)), 413, "limits.request_bytes")
	r, err := http.NewRequest("PUT", "http://"+s.addr+"/v1/agents/d", struct{ *strings.Reader }{strings.NewReader(state(100_001))}) // chunked
	if err != nil {
		t.Fatal(err)
	}
	s.want(s.do(r), 413, `"too_large":1`)
	if m.Len() != 2 {
		t.Errorf("%d agents, want 2", m.Len())
	}
}

func TestBodies(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	s.want(s.ask("PUT", "/v1/agents/a", ""), 400, `"offset":0`)
	s.want(s.ask("PUT", "/v1/agents/a", `{"a":}`), 400, `"offset":5`)
	s.want(s.ask("PUT", "/v1/agents/a", "\"\xff\""), 400, `"offset":1`)
	s.want(s.ask("PUT", "/v1/agents/a", "1", "Content-Encoding", "gzip"), 415, "Content-Encoding")
	s.want(s.ask("PUT", "/v1/agents/a", "1", "Content-Encoding", "identity", "Content-Encoding", "gzip"), 415, "Content-Encoding")
	s.want(s.ask("PUT", "/v1/agents/a", "1", "Content-Encoding", "Identity"), 201, "")
	s.want(s.ask("PUT", "/v1/agents/a", "1", "Expect", "100-continue"), 200, "")
}

// changing changes an agent after each look at it.
type changing struct{ *protocoltest.Memory }

func (c *changing) Start(ctx context.Context, r *protocol.Request) {
	c.Memory.Start(ctx, r)
	if r.Op().Kind() == protocol.KindStat {
		c.Put(r.Op().ID(), "[changed]")
	}
}
