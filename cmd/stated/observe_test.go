package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
)

// fakeHandler answers at once, or after a while.
type fakeHandler struct {
	reply protocol.Reply
	after time.Duration
}

func (f *fakeHandler) Start(_ context.Context, r *protocol.Request) { r.Answer(f.reply) }

func (f *fakeHandler) Wait(_ context.Context, r *protocol.Request) protocol.Reply {
	time.Sleep(f.after)
	return <-r.Reply()
}

func op(t testing.TB) func(protocol.Op, error) protocol.Op {
	return func(op protocol.Op, err error) protocol.Op {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
}

func saveOp(t testing.TB, id, state string) protocol.Op {
	return op(t)(protocol.Save(id, []byte(state), protocol.Condition{}))
}

// TestObserved: each request is counted once, under its operation and its code, with its time.
func TestObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(about{})
		inner := &fakeHandler{}
		h := observed{inner, m, newSlowLog(0, zerolog.Nop())}
		do := func(o protocol.Op, err error, after time.Duration) {
			inner.reply, inner.after = protocol.Reply{Err: err}, after
			if reply, _ := protocol.Do(t.Context(), h, o); reply.Err != err { //nolint:errorlint // it is handed through
				t.Errorf("got %v, want %v", reply.Err, err)
			}
		}
		save, load := saveOp(t, "a", "1"), op(t)(protocol.Load("a"))
		do(save, nil, 0)
		do(save, nil, 3*time.Second)
		do(save, fmt.Errorf("wrapped: %w", protocol.CodeLocked), 0)
		do(load, protocol.NotFound("a"), 0)
		do(load, &protocol.Error{Code: "NEW"}, 0) // not in the vocabulary
		do(op(t)(protocol.Txn(save, load)), nil, 0)
		do(protocol.Op{}, protocol.CodeInvalid, 0) // no operation at all
		want := map[string]float64{
			"save OK": 2, "save LOCKED": 1, "load NOT_FOUND": 1, "load INTERNAL": 1, "txn OK": 1,
		}
		got, all := map[string]float64{}, 0
		for kind, o := range m.operations {
			for code, c := range o.codes {
				all++
				if n := testutil.ToFloat64(c); n > 0 {
					got[kind.String()+" "+codeLabel(code)] = n
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || all != 9*16 {
			t.Errorf("of %d: %s", all, diff)
		}
		const took = `stated_request_seconds_%s{op="save"%s} %s` + "\n"
		text := scrape(t, m)
		for _, line := range []string{
			fmt.Sprintf(took, "count", "", "3"), fmt.Sprintf(took, "sum", "", "3"),
			fmt.Sprintf(took, "bucket", `,le="2.5"`, "2"), fmt.Sprintf(took, "bucket", `,le="5"`, "3"),
		} {
			if !strings.Contains(text, line) {
				t.Errorf("there is no %s", line)
			}
		}
	})
}

// logBuffer keeps what is logged, by whatever goroutine.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// take gives what was logged since the last time.
func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

// slowLine is what is logged, apart from the time.
type slowLine struct {
	Level, Message, Op, Code string
	AgentID                  string `json:"agent_id"`
	Elapsed                  float64
	Bytes, Operations        int
	Requests                 int
	Longest                  float64
}

func slowLines(t *testing.T, log string) (lines []slowLine) {
	t.Helper()
	for text := range strings.Lines(log) {
		var line slowLine
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil {
			t.Errorf("%v in %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestSlowLog: what is told of a request, and nothing of its state.
func TestSlowLog(t *testing.T) {
	save := saveOp(t, "alice", `"secret"`)
	load := op(t)(protocol.Load("bob"))
	txn := op(t)(protocol.Txn(save, load))
	loaded := protocol.Reply{State: []byte(`"secret"`)}
	const warn, message = "warn", "slow request"
	for _, test := range []struct {
		name  string
		op    protocol.Op
		reply protocol.Reply
		took  time.Duration
		want  []slowLine
	}{
		{"fast", save, protocol.Reply{}, time.Second - 1, nil},
		{"save", save, protocol.Reply{}, time.Second,
			[]slowLine{{Level: warn, Message: message, Op: "save", Code: "OK", AgentID: "alice", Elapsed: 1000, Bytes: save.Size()}}},
		{"load", load, loaded, 2 * time.Second,
			[]slowLine{{Level: warn, Message: message, Op: "load", Code: "OK", AgentID: "bob", Elapsed: 2000, Bytes: load.Size() + 8}}},
		{"txn", txn, protocol.Reply{Replies: []protocol.Reply{{}, loaded}}, time.Second,
			[]slowLine{{Level: warn, Message: message, Op: "txn", Code: "OK", Elapsed: 1000, Bytes: txn.Size() + 8, Operations: 2}}},
		{"error", protocol.Clear(), protocol.Reply{Err: protocol.Errorf(protocol.CodeLocked, "secret")}, time.Minute,
			[]slowLine{{Level: warn, Message: message, Op: "clear", Code: "LOCKED", Elapsed: 60000, Bytes: 192}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logBuffer
			s := newSlowLog(time.Second, zerolog.New(&log))
			defer s.close()
			s.look(&test.op, test.reply, test.took)
			text := log.take()
			if strings.Contains(text, "secret") {
				t.Errorf("it tells too much: %s", text)
			}
			if diff := cmp.Diff(test.want, slowLines(t, text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSlowLog_Flood: a few lines in a period, then a sum at its end, and anew.
func TestSlowLog_Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		s := newSlowLog(time.Second, zerolog.New(&log))
		save := saveOp(t, "a", "1")
		flood := func(n int, took time.Duration) (lines []slowLine) {
			for range n {
				s.look(&save, protocol.Reply{}, took)
			}
			synctest.Wait()
			return slowLines(t, log.take())
		}
		sum := func(requests int, longest time.Duration) []slowLine {
			return []slowLine{{Level: "warn", Message: "more slow requests, not logged one by one", Requests: requests,
				Longest: float64(longest.Milliseconds())}}
		}
		ends := func(want []slowLine) {
			t.Helper()
			if diff := cmp.Diff(want, slowLines(t, log.take())); diff != "" {
				t.Error(diff)
			}
		}
		if got := len(flood(slowMost, 9*time.Second)); got != slowMost {
			t.Errorf("%d lines", got)
		}
		if got := append(flood(3, 4*time.Second), flood(2, 2*time.Second)...); len(got) != 0 {
			t.Errorf("more lines: %+v", got)
		}
		time.Sleep(slowEvery)
		synctest.Wait()
		ends(sum(5, 4*time.Second))

		time.Sleep(10 * slowEvery) // nothing is slow, nothing is said
		synctest.Wait()
		ends(nil)

		if got := len(flood(1, time.Second)); got != 1 { // all of them were logged
			t.Errorf("%d lines", got)
		}
		time.Sleep(slowEvery)
		synctest.Wait()
		ends(nil)

		if got := len(flood(slowMost+1, time.Second)); got != slowMost {
			t.Errorf("%d lines in the next period", got)
		}
		s.close()
		ends(sum(1, time.Second))
		time.Sleep(10 * slowEvery)
		synctest.Wait()
		ends(nil)
	})
}

// TestSlowLog_Off: 0 logs nothing.
func TestSlowLog_Off(t *testing.T) {
	var log logBuffer
	s := newSlowLog(0, zerolog.New(&log))
	save := saveOp(t, "a", "1")
	s.look(&save, protocol.Reply{}, time.Hour)
	s.close()
	if text := log.take(); text != "" {
		t.Error(text)
	}
}
