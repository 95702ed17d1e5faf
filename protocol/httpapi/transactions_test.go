package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

const transactions = "/v1/transactions"

func TestTransactions(t *testing.T) {
	m := protocoltest.New()
	m.Put("a", "[1]")
	m.Put("old", "no JSON")
	s := serve(t, m, httpapi.Options{})
	const at = `"updated_at":"2023-11-14T22:13:20.123Z"`
	for _, tc := range []struct{ ops, want string }{
		{
			`{"op":"save","agent_id":"b","state": {"x": 1.0, "y":"\u0041<&>"} ,"if":"absent"},{"op":"load","agent_id":"b"}`,
			`{"op":"save","agent_id":"b","revision":3,` + at + `,"existed":false},` +
				`{"op":"load","agent_id":"b","found":true,"revision":3,` + at + `,"state":{"x": 1.0, "y":"\u0041<&>"}}`,
		},
		{
			`{"op":"delete","agent_id":"a","if_revision":1},{"op":"delete","agent_id":"none"},{"op":"load","agent_id":"a"}`,
			`{"op":"delete","agent_id":"a","revision":4,"existed":true},{"op":"delete","agent_id":"none","revision":0,"existed":false},` +
				`{"op":"load","agent_id":"a","found":false}`,
		},
		{
			`{"op":"check","agent_id":"b","if":"exists"},{"op":"check","agent_id":"a","if":"absent"},{"op":"stat","agent_id":"b"},{"op":"stat","agent_id":"a"}`,
			`{"op":"check","agent_id":"b"},{"op":"check","agent_id":"a"},{"op":"stat","agent_id":"b","found":true,"revision":3,` + at + `,"bytes":27},` +
				`{"op":"stat","agent_id":"a","found":false}`,
		},
		{
			`{"agent_id":"old","op":"load"},{"op":"load","agent_id":"b"}`,
			`{"op":"load","agent_id":"old","found":true,"revision":2,` + at + `,"error":{"type":"about:blank","title":"Bad Request","status":400,` +
				`"code":"INVALID","detail":"state is not JSON at byte 1: invalid character 'o' in literal null (expecting 'u')",` +
				`"outcome":"not_applied","offset":1}},{"op":"load","agent_id":"b","found":true,"revision":3,` + at + `,"state":{"x": 1.0, "y":"\u0041<&>"}}`,
		},
		{
			`{"op":"save","agent_id":"fffd","state":"\ud800"},{"op":"save","agent_id":"\ud83d\ude00","state":null},{"op":"save","agent_id":"\ufffd\\ud800","state":1}`,
			`{"op":"save","agent_id":"fffd","revision":5,` + at + `,"existed":false},{"op":"save","agent_id":"😀","revision":6,` + at + `,"existed":false},` +
				`{"op":"save","agent_id":"�\\ud800","revision":7,` + at + `,"existed":false}`,
		},
	} {
		a := s.ask("POST", transactions, ` {"ops":[`+tc.ops+"] }\n", "Content-Type", "application/json; charset=utf-8")
		s.want(a, 200, `{"results":[`+tc.want+"]}\n")
	}
}

func TestTransactions_Conflict(t *testing.T) {
	m := protocoltest.New()
	m.Put("a", "[1]")
	s := serve(t, m, httpapi.Options{})
	a := s.ask("POST", transactions, `{"ops":[{"op":"save","agent_id":"b","state":1},{"op":"save","agent_id":"a","state":2,"if_revision":9}]}`)
	s.want(a, 412, `"outcome":"conflict"`)
	s.want(a, 412, `"current_revision":1,"index":1`)
	if m.Len() != 1 {
		t.Errorf("%d agents after a conflict", m.Len())
	}
}

func TestTransactions_Bad(t *testing.T) {
	m := protocoltest.New()
	s := serve(t, m, httpapi.Options{})
	op := func(text string) string { return `{"ops":[{"op":"save","agent_id":"a","state":1},` + text + `]}` }
	for body, want := range map[string]string{
		``:                                 "the body is not JSON at byte 0",
		`{"ops":[}`:                        `"offset":8`,
		"{\"ops\":[\"\xff\"]}":             `"offset":9`,
		`[]`:                               "is not an object",
		`null`:                             "is not an object",
		`{}`:                               "has no ops",
		`{"ops":null}`:                     "ops is not a list",
		`{"ops":{}}`:                       "ops is not a list",
		`{"ops":[]}`:                       "empty",
		`{"ops":[],"ops":[]}`:              "twice",
		`{"Ops":[]}`:                       `there is no field \"Ops\"`,
		`{"ops":[],"x":1}`:                 `there is no field \"x\"`,
		`{"ops":[]} {}`:                    "is not JSON",
		`{"ops":[[]]}`:                     "operation 0: is not an object",
		op(`{}`):                           "operation 1: has no field op",
		op(`{"op":"save"}`):                "operation 1: has no field agent_id",
		op(`{"op":"save","agent_id":"b"}`): "operation 1: has no field state",
		op(`{"op":"save","agent_id":"b","State":1}`):                                                          `there is no field \"State\"`,
		op(`{"op":"save","agent_id":"b","state":1,"state":2}`):                                                `operation 1: the field \"state\" is there twice`,
		op(`{"op":"save","agent_id":"","state":1}`):                                                           "operation 1: the agent id is empty",
		op(`{"op":"save","agent_id":null,"state":1}`):                                                         "agent_id is not a text",
		op(`{"op":"save","agent_id":7,"state":1}`):                                                            "agent_id is not a text",
		op(`{"op":"save","agent_id":"\ud800","state":1}`):                                                     "half of a character",
		op(`{"op":"save","agent_id":"\udc00\ud800","state":1}`):                                               "half of a character",
		op(`{"op":"save","agent_id":"\u0007","state":1}`):                                                     "control character",
		op(`{"op":"save","agent_id":"b","state":1,"if":"never"}`):                                             `if is \"never\"`,
		op(`{"op":"save","agent_id":"b","state":1,"if":"absent","if_revision":1}`):                            "want one of them",
		op(`{"op":"save","agent_id":"b","state":1,"if_revision":0}`):                                          "revisions start at 1",
		op(`{"op":"save","agent_id":"b","state":1,"if_revision":"1"}`):                                        "want a whole number",
		op(`{"op":"save","agent_id":"b","state":1,"if_revision":1.5}`):                                        "want a whole number",
		op(`{"op":"save","agent_id":"b","state":1,"if_revision":null}`):                                       "want a whole number",
		op(`{"op":"load","agent_id":"b","if":"exists"}`):                                                      "takes no condition",
		op(`{"op":"load","agent_id":"b","state":1}`):                                                          "takes no state",
		op(`{"op":"check","agent_id":"b"}`):                                                                   "operation 1",
		op(`{"op":"list","agent_id":"b"}`):                                                                    `op is \"list\"`,
		op(`{"op":"SAVE","agent_id":"b","state":1}`):                                                          `op is \"SAVE\"`,
		`{"ops":[` + strings.Repeat(`{"op":"load","agent_id":"a"},`, 1024) + `{"op":"load","agent_id":"a"}]}`: "1025 operations",
		`{"ops":` + strings.Repeat("[", 1100) + strings.Repeat("]", 1100) + `}`:                               "levels deep",
	} {
		a := s.ask("POST", transactions, body)
		s.want(a, 400, want)
		s.want(a, 400, `"code":"INVALID"`)
	}
	s.want(s.ask("POST", transactions, `{"ops":[{"op":"load","agent_id":"a"}]}`, "Content-Type", "text/plain"), 415, "application/json")
	s.want(s.ask("POST", transactions, `{"ops":[{"op":"load","agent_id":"a"}]}`, "Content-Type", "application/x-www-form-urlencoded"), 200, "")
	if m.Len() != 0 {
		t.Errorf("%d agents were saved", m.Len())
	}
}

// TestTransactions_Depth: a state may be as deep inside a transaction as alone.
func TestTransactions_Depth(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	deep := func(n int) string {
		return `{"ops":[{"op":"save","agent_id":"a","state":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}]}`
	}
	s.want(s.ask("POST", transactions, deep(1000)), 200, "")
	s.want(s.ask("POST", transactions, deep(1001)), 400, "levels deep")
}

// TestTransactions_Memory: a small body cannot make much work, although it may be full of small things.
func TestTransactions_Memory(t *testing.T) {
	s := httpapi.New(protocoltest.New(), httpapi.Options{})
	for name, body := range map[string]string{
		"operations": `{"ops":[` + strings.Repeat("0,", 1<<19) + "0]}",
		"members":    `{"ops":[{"op":"save","agent_id":"a","state":[` + strings.Repeat(`{"a":0},`, 1<<17) + "0]}]}",
	} {
		allocations := testing.AllocsPerRun(1, func() {
			s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, transactions, strings.NewReader(body)))
		})
		if allocations > 1000 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}
