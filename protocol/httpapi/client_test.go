package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
)

// dialClient connects a client and closes it at the end of the test.
func dialClient(tb testing.TB, base string, o httpapi.ClientOptions) *httpapi.Client {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	c, err := httpapi.Dial(ctx, base, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// answering is a server that answers everything with f, but greetings properly.
func answering(tb testing.TB, f http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(greeting(f))
	s.Start()
	tb.Cleanup(s.Close)
	return s
}

func greeting(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			f(w, r)
		}
	}
}

func mustOp(op protocol.Op, err error) protocol.Op {
	if err != nil {
		panic(err)
	}
	return op
}

func saveOp(id, state string) protocol.Op {
	return mustOp(protocol.Save(id, []byte(state), protocol.Condition{}))
}

func loadOp(id string) protocol.Op { return mustOp(protocol.Load(id)) }

// answerOf is what the scripted server of TestClient_exchanges says.
type answerOf struct {
	status int
	header string // "Key: value" lines
	body   string
}

var clientTime = time.UnixMilli(1_700_000_000_123).UTC()

const (
	clientTimeText = "2023-11-14T22:13:20.123Z"
	recordHeader   = "ETag: \"7\"\nStated-Updated-At: " + clientTimeText
)

func TestClient_exchanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     protocol.Op
		sent   string // method, URI, conditions, body
		answer answerOf
		want   protocol.Reply
	}{
		{
			"save", saveOp("a/b ?#%2F+ü.", " [1]\n"), "PUT /v1/agents/a%2Fb%20%3F%23%252F+%C3%BC. | \" [1]\\n\"",
			answerOf{201, "", `{"agent_id":"a","revision":7,"updated_at":"` + clientTimeText + `"}`},
			protocol.Reply{Revision: 7, UpdatedAt: clientTime},
		},
		{
			"save if revision", mustOp(protocol.Save("..", []byte("1"), protocol.IfRevision(6))), `PUT /v1/agents/.. If-Match: "6" | "1"`,
			answerOf{200, "", `{"agent_id":"..","revision":7,"updated_at":"` + clientTimeText + `","new":{"x":[]}}`},
			protocol.Reply{Found: true, Revision: 7, UpdatedAt: clientTime},
		},
		{
			"save if absent", mustOp(protocol.Save("a", []byte("1"), protocol.IfAbsent())), `PUT /v1/agents/a If-None-Match: * | "1"`,
			answerOf{201, "", `{"revision":1,"updated_at":null}`},
			protocol.Reply{Revision: 1},
		},
		{
			"save if exists", mustOp(protocol.Save("a", []byte("1"), protocol.IfExists())), `PUT /v1/agents/a If-Match: * | "1"`,
			answerOf{200, "", `{"revision":1}`},
			protocol.Reply{Found: true, Revision: 1},
		},
		{
			"load", loadOp("a"), `GET /v1/agents/a | ""`,
			answerOf{200, recordHeader, " {\"x\": 1e400}\n"},
			protocol.Reply{Found: true, Revision: 7, UpdatedAt: clientTime, State: []byte(" {\"x\": 1e400}\n"), Bytes: 14},
		},
		{
			"load without a time", loadOp("a"), `GET /v1/agents/a | ""`,
			answerOf{200, `ETag: "7"`, "1"},
			protocol.Reply{Found: true, Revision: 7, State: []byte("1"), Bytes: 1},
		},
		{
			"stat", mustOp(protocol.Stat("a")), `HEAD /v1/agents/a | ""`,
			answerOf{200, recordHeader + "\nContent-Length: 14", ""},
			protocol.Reply{Found: true, Revision: 7, UpdatedAt: clientTime, Bytes: 14},
		},
		{
			"delete", mustOp(protocol.Delete("a", protocol.IfRevision(3))), `DELETE /v1/agents/a If-Match: "3" | ""`,
			answerOf{200, "", `{"agent_id":"a","revision":7}`},
			protocol.Reply{Found: true, Revision: 7},
		},
		{
			"delete of nothing", mustOp(protocol.Delete("a", protocol.Condition{})), `DELETE /v1/agents/a | ""`,
			answerOf{404, "Content-Type: application/problem+json", `{"code":"NOT_FOUND","detail":"x"}`},
			protocol.Reply{},
		},
		{
			"list", mustOp(protocol.List("a b", "a&c", 2)), `GET /v1/agents?after=a%26c&limit=2&prefix=a+b | ""`,
			answerOf{200, "", `{"agents":[{"agent_id":"a b1","revision":7,"updated_at":"` + clientTimeText + `","bytes":3},
				{"agent_id":"\u0061 b\ud83d\ude00","revision":8,"updated_at":null,"bytes":4}],"next":"a b2"}`},
			protocol.Reply{Next: "a b2", Entries: []protocol.Entry{
				{ID: "a b1", Revision: 7, UpdatedAt: clientTime, Bytes: 3}, {ID: "a b😀", Revision: 8, Bytes: 4},
			}},
		},
		{
			"list of nothing", mustOp(protocol.List("", "", 0)), `GET /v1/agents?limit=100 | ""`,
			answerOf{200, "", `{"agents":[],"next":null}`},
			protocol.Reply{},
		},
		{
			"count", mustOp(protocol.Count("é")), `GET /v1/count?prefix=%C3%A9 | ""`,
			answerOf{200, "", `{"count":5}`},
			protocol.Reply{Count: 5},
		},
		{
			"clear", protocol.Clear(), `DELETE /v1/agents?confirm=all | ""`,
			answerOf{200, "", `{"deleted":0,"revision":9}`},
			protocol.Reply{Revision: 9},
		},
		{
			"transaction", mustOp(protocol.Txn(
				saveOp("<\"é\u2028", "{ \"a\" :\n1.0 }"), saveOp("b", " 1\n"), mustOp(protocol.Save("c", []byte("1"), protocol.IfAbsent())),
				mustOp(protocol.Delete("d", protocol.IfExists())), loadOp("e"), loadOp("f"), mustOp(protocol.Stat("g")), mustOp(protocol.Stat("h")),
				mustOp(protocol.Check("i", protocol.IfRevision(5))), loadOp("j"),
			)), "POST /v1/transactions | " + `"{\"ops\":[{\"op\":\"save\",\"agent_id\":\"<\\\"é\\u2028\",\"state\":{ \"a\" :\n1.0 }},` +
				`{\"op\":\"save\",\"agent_id\":\"b\",\"state_text\":\" 1\\n\"},{\"op\":\"save\",\"agent_id\":\"c\",\"if\":\"absent\",\"state\":1},` +
				`{\"op\":\"delete\",\"agent_id\":\"d\",\"if\":\"exists\"},{\"op\":\"load\",\"agent_id\":\"e\"},{\"op\":\"load\",\"agent_id\":\"f\"},` +
				`{\"op\":\"stat\",\"agent_id\":\"g\"},{\"op\":\"stat\",\"agent_id\":\"h\"},{\"op\":\"check\",\"agent_id\":\"i\",\"if_revision\":5},` +
				`{\"op\":\"load\",\"agent_id\":\"j\"}]}"`,
			answerOf{200, "", `{"results":[{"op":"save","agent_id":"x","revision":1,"updated_at":"` + clientTimeText + `","existed":true},
				{"op":"save","revision":2,"updated_at":"` + clientTimeText + `","existed":false},{"op":"save","revision":3,"existed":false},
				{"op":"delete","agent_id":"d","revision":4,"existed":true},
				{"op":"load","agent_id":"e","found":true,"revision":5,"updated_at":"` + clientTimeText + `","state":` + "\t{\"} ,\": 1.50 }\r\n " + `},
				{"op":"load","agent_id":"f","found":false},{"op":"stat","found":true,"revision":5,"updated_at":null,"bytes":12},
				{"op":"stat","found":false},{"op":"check","agent_id":"i"},
				{"op":"load","found":true,"error":{"code":"INVALID","detail":"not JSON","offset":3}}]}`},
			protocol.Reply{Replies: []protocol.Reply{
				{Found: true, Revision: 1, UpdatedAt: clientTime}, {Revision: 2, UpdatedAt: clientTime}, {Revision: 3},
				{Found: true, Revision: 4}, {Found: true, Revision: 5, UpdatedAt: clientTime, State: []byte("\t{\"} ,\": 1.50 }\r\n "), Bytes: 18},
				{}, {Found: true, Revision: 5, Bytes: 12}, {}, {},
				{Found: true, Err: protocol.Errorf(protocol.CodeInvalid, "not JSON").With(protocol.FactOffset, "3")},
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent string
			s := answering(t, func(w http.ResponseWriter, r *http.Request) {
				sent = describeRequest(r)
				c.answer.write(w)
			})
			reply, err := protocol.Do(t.Context(), dialClient(t, s.URL, httpapi.ClientOptions{}), c.op)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.sent, sent); diff != "" {
				t.Errorf("the request (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(c.want, reply, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the reply (-want +got)\n%s", diff)
			}
		})
	}
}

func describeRequest(r *http.Request) string {
	text := r.Method + " " + r.RequestURI
	for _, key := range []string{"If-Match", "If-None-Match"} {
		if v := r.Header.Get(key); v != "" {
			text += " " + key + ": " + v
		}
	}
	body, _ := io.ReadAll(r.Body)
	return fmt.Sprintf("%s | %q", text, body)
}

func (a answerOf) write(w http.ResponseWriter) {
	for line := range strings.SplitSeq(a.header, "\n") {
		if key, value, ok := strings.Cut(line, ": "); ok {
			w.Header().Set(key, value)
		}
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// Every operation that has no request is refused by the client itself.
func TestClient_inexpressible(t *testing.T) {
	s := answering(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	c := dialClient(t, s.URL, httpapi.ClientOptions{})
	many := make([]protocol.Op, protocol.MaxTxnOps+1)
	for i := range many {
		many[i] = loadOp("a")
	}
	for name, op := range map[string]protocol.Op{
		"scan": mustOp(protocol.Scan(0, 1)), "skip": saveOp("a", "1").OrSkip(),
		"skip in a transaction": mustOp(protocol.Txn(loadOp("a"), saveOp("a", "1").OrSkip())),
		"bulk":                  mustOp(protocol.Bulk(many...)),
		"check":                 mustOp(protocol.Check("a", protocol.IfExists())), "nothing": {},
	} {
		if _, err := protocol.Do(t.Context(), c, op); !errors.Is(err, protocol.CodeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every code comes with its facts, in their order, and with its outcome, whether asked for with or without a body.
func TestClient_problems(t *testing.T) {
	const facts = `"elapsed":"1.5s","type":"about:blank","attempts":6,"x":{"code":"FULL"},"index":2,"current_revision":9007199254740993,` +
		`"offset":0,"too_large":1,"owner_pid":42,"request_id":"r","status":412,"outcome":"conflict"`
	want := []protocol.Fact{
		{Key: "elapsed", Value: "1.5s"}, {Key: "attempts", Value: "6"}, {Key: "index", Value: "2"},
		{Key: "current_revision", Value: "9007199254740993"}, {Key: "offset", Value: "0"}, {Key: "too_large", Value: "1"},
		{Key: "owner_pid", Value: "42"},
	}
	for _, code := range protocol.Codes() {
		s := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = fmt.Fprintf(w, `{%s,"detail":"some words","code":%q}`, facts, code)
		})
		c := dialClient(t, s.URL, httpapi.ClientOptions{})
		for _, op := range []protocol.Op{
			saveOp("a", "1"), loadOp("a"), mustOp(protocol.Stat("a")), mustOp(protocol.List("", "", 0)), mustOp(protocol.Count("")),
			protocol.Clear(), mustOp(protocol.Txn(loadOp("a"))),
		} {
			_, err := protocol.Do(t.Context(), c, op)
			var e *protocol.Error
			if !errors.As(err, &e) || e.Code != code || e.Message != "some words" {
				t.Errorf("%s: %s: got %v", code, op.Kind(), err)
				continue
			}
			if diff := cmp.Diff(want, e.Facts); diff != "" {
				t.Errorf("%s: %s: (-want +got)\n%s", code, op.Kind(), diff)
			}
		}
	}
}

// What is no answer of stated is a defect for a read; a change may have been applied unless the status says otherwise.
func TestClient_nonsense(t *testing.T) {
	const problem = "Content-Type: application/problem+json"
	for _, c := range []struct {
		answer answerOf
		write  protocol.Code
	}{
		{answerOf{502, "Content-Type: text/html", "<html>"}, protocol.CodeUnknown},
		{answerOf{503, "", ""}, protocol.CodeUnknown},
		{answerOf{500, "Content-Type: application/json", `{"code":"FULL"}`}, protocol.CodeUnknown},
		{answerOf{500, problem, `{"code":"NONSENSE"}`}, protocol.CodeUnknown},
		{answerOf{500, problem, `{"code":"FULL"`}, protocol.CodeUnknown},
		{answerOf{500, problem, `["FULL"]`}, protocol.CodeUnknown},
		{answerOf{500, problem, `{"code":7}`}, protocol.CodeUnknown},
		{answerOf{408, "", ""}, protocol.CodeUnknown},
		{answerOf{499, "", ""}, protocol.CodeUnknown},
		{answerOf{404, "Content-Type: text/plain", "404 page not found"}, protocol.CodeInternal},
		{answerOf{413, "Content-Type: text/html", "too large"}, protocol.CodeInternal},
		{answerOf{302, "Location: /elsewhere", ""}, protocol.CodeInternal},
		{answerOf{304, "", ""}, protocol.CodeInternal},
		{answerOf{204, "", ""}, protocol.CodeUnknown},
		{answerOf{200, "", ""}, protocol.CodeUnknown},
		{answerOf{200, "", "{}"}, protocol.CodeUnknown},
		{answerOf{200, "ETag: W/\"1\"", "[]"}, protocol.CodeUnknown},
		{answerOf{200, "ETag: \"0\"", `{"revision":0}`}, protocol.CodeUnknown},
		{answerOf{200, "ETag: \"1\"\nStated-Updated-At: today", `{"revision":"1"}`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[]}`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[{"op":"load"}]}`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[{"op":"save"}]}`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[{"op":"save","revision":1},{"op":"load"}]}`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[{"op":"save","revision":1}]} {}`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[{"op":"save","revision":1,"state":1`}, protocol.CodeUnknown},
		{answerOf{200, "", `{"results":[{"op":"save","error":{"code":"X"}}]}`}, protocol.CodeUnknown},
	} {
		s := answering(t, func(w http.ResponseWriter, _ *http.Request) { c.answer.write(w) })
		client := dialClient(t, s.URL, httpapi.ClientOptions{})
		for _, op := range []protocol.Op{
			saveOp("a", "1"), mustOp(protocol.Delete("a", protocol.Condition{})), protocol.Clear(), mustOp(protocol.Txn(saveOp("a", "1"))),
			loadOp("a"), mustOp(protocol.Stat("a")), mustOp(protocol.List("", "", 0)), mustOp(protocol.Count("")), mustOp(protocol.Txn(mustOp(protocol.Stat("a")))),
		} {
			want := protocol.CodeInternal
			if op.Writes() {
				want = c.write
			}
			if _, err := protocol.Do(t.Context(), client, op); !errors.Is(err, want) || !strings.Contains(err.Error(), "is no reply of stated") {
				t.Errorf("%s answered with %+v: %v, want %s", op.Kind(), c.answer, err, want)
			}
		}
	}
}

func TestDial(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = httpapi.Dial(ctx, "http://"+silent.Addr().String(), httpapi.ClientOptions{})
	if !errors.Is(err, protocol.CodeUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that says nothing: %v", err)
	}
	_, err = httpapi.Dial(t.Context(), "http://"+silent.Addr().String(), httpapi.ClientOptions{DialTimeout: time.Millisecond})
	if !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("a dial timeout: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := httpapi.Dial(t.Context(), gone.URL, httpapi.ClientOptions{}); !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("no server: %v", err)
	}
	for _, c := range []struct {
		answer answerOf
		want   protocol.Code
	}{
		{answerOf{200, "", "ok"}, ""},
		{answerOf{503, "Content-Type: text/plain", "draining"}, ""},
		{answerOf{404, "", ""}, protocol.CodeUnavailable},
		{answerOf{302, "Location: /x", ""}, protocol.CodeUnavailable},
		{answerOf{401, "Content-Type: application/problem+json", `{"code":"UNAUTHENTICATED"}`}, protocol.CodeUnauthenticated},
		{answerOf{503, "Content-Type: application/problem+json", `{"code":"OVERLOADED"}`}, protocol.CodeOverloaded},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer.write(w) }))
		client, err := httpapi.Dial(t.Context(), s.URL, httpapi.ClientOptions{})
		if protocol.CodeOf(err) != c.want {
			t.Errorf("a greeting answered with %+v: %v, want %q", c.answer, err, c.want)
		}
		if err == nil {
			_ = client.Close()
		}
		s.Close()
	}
}

func TestDial_badOptions(t *testing.T) {
	const secret = "hunter2hunter2"
	for base, o := range map[string]httpapi.ClientOptions{
		"localhost:80": {}, "http://": {}, "ftp://localhost": {}, "http://localhost/v1": {}, "http://localhost?a": {}, "unix:": {}, "": {},
		"http://user:" + secret + "@localhost": {}, "http://%zz:" + secret: {},
		"http://a": {Token: secret + "\r\n"}, "http://b": {Token: "é" + secret}, "http://c": {Connections: -1}, "http://d": {ReplyBytes: -1},
	} {
		_, err := httpapi.Dial(t.Context(), base, o)
		if !errors.Is(err, protocol.CodeInvalid) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestClient_token(t *testing.T) {
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		answerOf{200, recordHeader, "1"}.write(w)
	}))
	defer s.Close()
	c := dialClient(t, s.URL, httpapi.ClientOptions{Token: "0123456789abcdef"})
	if _, err := c.Load(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Bearer 0123456789abcdef", "Bearer 0123456789abcdef"}, seen); diff != "" {
		t.Error(diff)
	}
}
