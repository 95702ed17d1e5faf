package actor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

func isDone(a *actor.Actor) bool {
	select {
	case <-a.Done():
		return true
	default:
		return false
	}
}

// TestClose_Drains: what is in the mailbox is applied and answered, what comes later is refused.
func TestClose_Drains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, taken, pass := takenGate()
		a := actor.New(f, actor.Options{Batch: 4, MailboxBytes: 1 << 20})
		var waiting []<-chan error
		for _, id := range ids(10) {
			waiting = append(waiting, async(t.Context(), a, save(id)))
			synctest.Wait()
			if id == "agent0" {
				<-taken
			}
		}
		closed := make(chan error, 2)
		for range 2 {
			go func() { closed <- a.Close(context.Background()) }()
		}
		synctest.Wait()
		wantCode(t, <-async(t.Context(), a, save("late")), protocol.CodeUnavailable)
		_, err := a.Load(t.Context(), "late")
		wantCode(t, err, protocol.CodeUnavailable)
		if isDone(a) {
			t.Error("the writer is gone")
		}
		go func() {
			for range taken {
				pass <- struct{}{}
			}
		}()
		pass <- struct{}{}
		for _, done := range waiting {
			wantCode(t, <-done, "")
		}
		for range 2 {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
		if got := fmt.Sprint(f.sizes()); got != "[1 4 4 1]" {
			t.Errorf("batches of %s", got)
		}
		if !isDone(a) {
			t.Error("the writer is not gone")
		}
		wantCode(t, <-async(t.Context(), a, save("late")), protocol.CodeUnavailable)
		mustClose(t, a)
		close(taken)
	})
}

// TestClose_Expired: a Close whose time is up ends the wait for a lock; what was not taken is told so.
func TestClose_Expired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		f.onApply = func(ctx context.Context, _ int, _ protocol.Batch) ([]protocol.Reply, error) {
			<-ctx.Done() // as a store that waits for a lock
			return nil, protocol.Errorf(protocol.CodeUnavailable, "shutting down").Because(ctx.Err())
		}
		a := actor.New(f, actor.Options{Batch: 2, Mailbox: 3})
		var waiting []<-chan error
		for range 8 { // in hand, in the mailbox, and before it
			waiting = append(waiting, async(t.Context(), a, save("a")))
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		for _, done := range waiting {
			wantCode(t, <-done, protocol.CodeUnavailable)
		}
		if !isDone(a) {
			t.Error("the writer is not gone")
		}
	})
}

// TestClose_NobodyHangs: callers without a deadline, more than there is room for, at the moment of closing and at
// that of a defect.
func TestClose_NobodyHangs(t *testing.T) {
	for name, defect := range map[string]bool{"close": false, "defect": true} {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				f := &fakeStore{}
				f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
					if n == 3 && defect {
						panic("a defect")
					}
					return f.apply(b), nil
				}
				// Each takes all of the mailbox's bytes.
				a := actor.New(f, actor.Options{Mailbox: 2, MailboxBytes: 100})
				var waiting []<-chan error
				for range 12 {
					waiting = append(waiting, async(context.Background(), a, save("a")))
				}
				if !defect {
					mustClose(t, a)
				}
				timeout := time.After(hang)
				for _, done := range waiting {
					select {
					case err := <-done:
						if code := protocol.CodeOf(err); code != "" && code != protocol.CodeUnavailable && (code != protocol.CodeUnknown || !defect) {
							t.Fatalf("%v", err)
						}
					case <-timeout:
						t.Fatal("a caller hangs")
					}
				}
				mustClose(t, a)
			}
		})
	}
}

// TestWriter_Panic: a defect in the store ends the writer. Everyone who waits is told at once, what was taken as
// UNKNOWN, everything else as not applied.
func TestWriter_Panic(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprint("taken ", taken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, log := &fakeStore{}, &bytes.Buffer{}
				enter, pass := make(chan struct{}), make(chan struct{})
				f.onApply = func(_ context.Context, _ int, b protocol.Batch) ([]protocol.Reply, error) {
					if taken {
						b.Take()
					}
					close(enter)
					<-pass
					panic("out of cheese")
				}
				a := actor.New(f, actor.Options{Mailbox: 2, Batch: 2, Logger: zerolog.New(log)})
				first := async(t.Context(), a, save("a"))
				<-enter
				var others []<-chan error
				for range 4 {
					others = append(others, async(t.Context(), a, save("b")))
				}
				synctest.Wait()
				begun := time.Now()
				close(pass)
				want := protocol.CodeUnavailable
				if taken {
					want = protocol.CodeUnknown
				}
				wantCode(t, <-first, want)
				for _, done := range others {
					wantCode(t, <-done, protocol.CodeUnavailable)
				}
				<-a.Done()
				if took := time.Since(begun); took != 0 {
					t.Errorf("it took %v", took)
				}
				wantCode(t, <-async(t.Context(), a, save("late")), protocol.CodeUnavailable)
				if !strings.Contains(log.String(), "out of cheese") || strings.Count(log.String(), "\n") != 1 {
					t.Errorf("logged %s", log)
				}
				mustClose(t, a)
				mustClose(t, a)
			})
		})
	}
}

// TestWriter_PanicAfterHolding: so with one that the batch was too full for.
func TestWriter_PanicAfterHolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		enter, pass := make(chan struct{}), make(chan struct{})
		f.onApply = func(_ context.Context, _ int, b protocol.Batch) ([]protocol.Reply, error) {
			enter <- struct{}{}
			<-pass
			b.Take()
			panic("out of cheese")
		}
		a := actor.New(f, actor.Options{BatchBytes: 1})
		first := async(t.Context(), a, save("a"))
		<-enter
		second := async(t.Context(), a, save("held"))
		synctest.Wait()
		close(pass)
		wantCode(t, <-first, protocol.CodeUnknown)
		wantCode(t, <-second, protocol.CodeUnavailable)
		mustClose(t, a)
	})
}

// TestWriter_WrongReplies: a store that does not answer everyone is a defect too, not a mix-up.
func TestWriter_WrongReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		f.onApply = func(_ context.Context, _ int, b protocol.Batch) ([]protocol.Reply, error) {
			b.Take()
			return nil, nil
		}
		a := actor.New(f, actor.Options{})
		wantCode(t, <-async(t.Context(), a, save("a")), protocol.CodeUnknown)
		<-a.Done()
		mustClose(t, a)
	})
}
