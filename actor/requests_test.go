package actor_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

// do is how a worker uses the channel: it looks at Done beside sending and beside waiting.
func do(a *actor.Actor, op protocol.Op) (protocol.Reply, bool) {
	r := protocol.NewRequest(op)
	select {
	case a.Requests() <- r:
	case <-a.Done():
		return protocol.Reply{}, false
	}
	select {
	case reply := <-r.Reply():
		return reply, true
	case <-a.Done():
		select {
		case reply := <-r.Reply():
			return reply, true
		default:
			return protocol.Reply{}, false
		}
	}
}

// TestRequests_Order: the changes that one worker sends are applied in that order, also when it does not wait.
func TestRequests_Order(t *testing.T) {
	f := &fakeStore{}
	a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
	defer mustClose(t, a)
	for round := range 200 {
		var sent []*protocol.Request
		for range 4 {
			sent = append(sent, protocol.NewRequest(save(fmt.Sprint("a", round))))
			a.Requests() <- sent[len(sent)-1]
		}
		last := int64(0)
		for i, r := range sent {
			reply := <-r.Reply()
			if reply.Err != nil || reply.Revision <= last {
				t.Fatalf("round %d: request %d got revision %d after %d, %v", round, i, reply.Revision, last, reply.Err)
			}
			last = reply.Revision
		}
	}
}

// TestRequests: writes and reads as messages; a worker that waits for each reply has its order.
func TestRequests(t *testing.T) {
	f := &fakeStore{}
	f.onRead = func(_ context.Context, op *protocol.Op) (protocol.Reply, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return protocol.Reply{Revision: f.revision}, nil
	}
	a := actor.New(f, actor.Options{MailboxBytes: 1 << 20, StateBytes: 2 << 20})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			last := int64(0)
			for range 50 {
				r, ok := do(a, save(fmt.Sprint("w", worker)))
				if !ok || r.Err != nil || r.Revision <= last {
					t.Errorf("worker %d: %+v after revision %d", worker, r, last)
				}
				last = r.Revision
				if r, ok := do(a, must(protocol.Load("x"))); !ok || r.Err != nil || r.Revision < last {
					t.Errorf("worker %d reads %+v after revision %d", worker, r, last)
				}
			}
		})
	}
	wg.Wait()
	if r, ok := do(a, saveBytes("large", 3<<20)); !ok || protocol.CodeOf(r.Err) != protocol.CodeInvalid {
		t.Errorf("too large: %+v", r)
	}
	wantRoom(t, a)
	mustClose(t, a)
	if r, ok := do(a, save("late")); ok && protocol.CodeOf(r.Err) != protocol.CodeUnavailable {
		t.Errorf("after Close: %+v", r)
	}
}

// TestRequests_Close: workers that send all the time while the actor is closed end, each with an answer or Done.
func TestRequests_Close(t *testing.T) {
	for range 50 {
		a := actor.New(&fakeStore{}, actor.Options{Mailbox: 2, MailboxBytes: 600})
		a.Requests()
		var wg sync.WaitGroup
		begun := make(chan struct{}, 16)
		for range 16 {
			wg.Go(func() {
				for first := true; ; first = false {
					r, ok := do(a, save("a"))
					if first {
						begun <- struct{}{}
					}
					if !ok {
						return
					}
					if r.Err != nil {
						wantCode(t, r.Err, protocol.CodeUnavailable)
						return
					}
				}
			})
		}
		for range 16 {
			<-begun
		}
		mustClose(t, a)
		wg.Wait()
	}
}

// TestRequests_Left: a worker that stops waiting leaves as everyone does.
func TestRequests_Left(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, entered, pass := gate()
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		first, left := protocol.NewRequest(save("first")), protocol.NewRequest(save("left"))
		a.Requests() <- first
		<-entered
		a.Requests() <- left
		synctest.Wait()
		if !left.Leave() {
			t.Error("it was taken")
		}
		pass <- struct{}{}
		if r := <-first.Reply(); r.Err != nil {
			t.Error(r.Err)
		}
		go func() { <-entered; pass <- struct{}{} }()
		wantRoom(t, a)
		if got := f.applied(); got != "first | room" {
			t.Errorf("applied %q", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}
