package protocol_test

import (
	"sync"
	"testing"

	"github.com/stated/stated/protocol"
)

func mustRequest(tb testing.TB) *protocol.Request {
	tb.Helper()
	return protocol.NewRequest(must(tb)(protocol.Load("a")))
}

// TestRequest_Claims walks through every order of the steps that matters.
func TestRequest_Claims(t *testing.T) {
	type step struct {
		name string
		call func(*protocol.Request) bool
	}
	take, leave, release := (*protocol.Request).Take, (*protocol.Request).Leave, (*protocol.Request).Release
	steps := map[byte]step{'t': {"Take", take}, 'l': {"Leave", leave}, 'r': {"Release", release}}
	for _, tt := range []struct {
		name, steps string
		want        []bool
	}{
		{"left before it is taken", "ltr", []bool{true, false, false}},
		{"taken before it is left", "tlr", []bool{true, false, false}},
		{"taken twice", "tt", []bool{true, false}},
		{"released and taken again", "trt", []bool{true, true, true}},
		{"released and left", "trlt", []bool{true, true, true, false}},
		{"released without being taken", "rt", []bool{false, true}},
		{"left while taken, then left again", "tllt", []bool{true, false, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := mustRequest(t)
			for i := range len(tt.steps) {
				step := steps[tt.steps[i]]
				if got := step.call(r); got != tt.want[i] {
					t.Fatalf("step %d, %s, gave %v", i, step.name, got)
				}
			}
		})
	}
}

func TestRequest_Answer(t *testing.T) {
	r := mustRequest(t)
	if op := r.Op(); op.ID() != "a" || op.Kind() != protocol.KindLoad {
		t.Errorf("the request is to %v %q", op.Kind(), op.ID())
	}
	// Nobody waits yet: neither answer may block.
	r.Answer(protocol.Reply{Revision: 7})
	r.Answer(protocol.Reply{Revision: 8})
	if reply := <-r.Reply(); reply.Revision != 7 {
		t.Errorf("the reply has revision %d, want that of the first answer", reply.Revision)
	}
}

// TestRequest_LeaveRacesTake has callers leave while a handler takes, sometimes rolls back, and applies. A caller
// that was told that nothing happened must be right.
func TestRequest_LeaveRacesTake(t *testing.T) {
	const rounds = 2000
	for i := range rounds {
		r := mustRequest(t)
		applied, certain := false, false
		var both sync.WaitGroup
		both.Go(func() {
			if !r.Take() {
				return
			}
			if i%2 == 0 && (!r.Release() || !r.Take()) {
				return
			}
			applied = true
			r.Answer(protocol.Reply{Revision: 1})
		})
		both.Go(func() { certain = r.Leave() })
		both.Wait()
		if applied && certain {
			t.Fatalf("round %d: the caller was told that nothing was applied, and it was", i)
		}
		if applied {
			<-r.Reply() // is there, whether the caller stayed or not
		}
	}
}

// TestRequest_OneTakes has many handlers take one request.
func TestRequest_OneTakes(t *testing.T) {
	for range 200 {
		r := mustRequest(t)
		var mu sync.Mutex
		var all sync.WaitGroup
		taken := 0
		for range 4 {
			all.Go(func() {
				if r.Take() {
					mu.Lock()
					defer mu.Unlock()
					taken++
				}
			})
		}
		all.Wait()
		if taken != 1 {
			t.Fatalf("%d handlers took one request", taken)
		}
	}
}
