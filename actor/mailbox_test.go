package actor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

// TestMailbox_Full: who finds no room waits for it until the deadline, by count and by bytes, and is told that
// nothing was applied.
func TestMailbox_Full(t *testing.T) {
	for name, o := range map[string]actor.Options{
		"by count": {Mailbox: 2, MailboxBytes: 1 << 20},
		"by bytes": {Mailbox: 100, MailboxBytes: 3 * int64(sizeOf(save("a")))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, taken, pass := takenGate()
				a := actor.New(f, o)
				inside := []<-chan error{async(t.Context(), a, save("a"))}
				<-taken // it still has its bytes
				for range 2 {
					inside = append(inside, async(t.Context(), a, save("a")))
				}
				synctest.Wait()

				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := <-async(ctx, a, save("b"))
				wantCode(t, err, protocol.CodeOverloaded)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
				ctx, cancel = context.WithCancel(t.Context())
				err2 := async(ctx, a, save("b"))
				synctest.Wait()
				cancel()
				wantCode(t, <-err2, protocol.CodeCanceled)
				patient := async(t.Context(), a, save("patient"))
				synctest.Wait()

				go func() {
					for range taken {
						pass <- struct{}{}
					}
				}()
				pass <- struct{}{}
				for _, done := range append(inside, patient) {
					wantCode(t, <-done, "")
				}
				if got := f.applied(); got != "a | a a patient" && got != "a | a a | patient" {
					t.Errorf("applied %q", got)
				}
				wantRoom(t, a)
				mustClose(t, a)
				close(taken)
			})
		})
	}
}

func sizeOf(op protocol.Op) int { return op.Size() }

// TestMailbox_Locked: at the deadline during another process's lock the answer is LOCKED, for those in the mailbox
// and for those before it.
func TestMailbox_Locked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		unlocked := make(chan struct{})
		f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
			for attempt := 1; n == 1; attempt++ {
				b.Asking(attempt)
				select {
				case <-time.After(4 * time.Second):
					continue
				case <-unlocked:
				}
				break
			}
			return f.apply(b), nil
		}
		a := actor.New(f, actor.Options{Mailbox: 1, MailboxBytes: 1 << 20})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var waiting []<-chan error
		for range 3 { // one in the writer's hand, one in the mailbox, one before it
			waiting = append(waiting, async(ctx, a, save("a")))
			synctest.Wait()
		}
		for _, done := range waiting {
			err := <-done
			wantCode(t, err, protocol.CodeLocked)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is no deadline", err)
			}
			attempts, _ := protocol.AsError(err).Fact(protocol.FactAttempts)
			elapsed, _ := protocol.AsError(err).Fact(protocol.FactElapsed)
			if attempts != "3" || elapsed != "10s" {
				t.Errorf("attempts=%s elapsed=%s", attempts, elapsed)
			}
		}
		// Who cancels was not refused by the lock, and one who comes too late was never there.
		ctx2, cancel2 := context.WithCancel(t.Context())
		canceled := async(ctx2, a, save("a"))
		synctest.Wait()
		cancel2()
		wantCode(t, <-canceled, protocol.CodeCanceled)
		wantCode(t, <-async(ctx2, a, save("a")), protocol.CodeCanceled)
		wantCode(t, <-async(ctx, a, save("a")), protocol.CodeOverloaded)
		close(unlocked)
		wantRoom(t, a)
		if got := f.applied(); got != "room" {
			t.Errorf("applied %q", got)
		}
		mustClose(t, a)
	})
}

// TestWait_Leaving: before it was taken a request can be left for certain; afterwards the outcome is unknown, unless
// it comes within the moment that Wait still has.
func TestWait_Leaving(t *testing.T) {
	leave := func(t *testing.T, after time.Duration) (applied string, took time.Duration, err error) {
		synctest.Test(t, func(t *testing.T) {
			f, taken, pass := takenGate()
			a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begun := time.Now()
			done := async(ctx, a, save("a"))
			<-taken
			go func() {
				time.Sleep(after)
				pass <- struct{}{}
			}()
			err = <-done
			took = time.Since(begun)
			synctest.Wait()
			time.Sleep(after)
			go func() { <-taken; pass <- struct{}{} }()
			wantRoom(t, a)
			mustClose(t, a)
			applied = f.applied()
		})
		return applied, took, err
	}
	applied, took, err := leave(t, 1050*time.Millisecond)
	wantCode(t, err, "")
	if applied != "a | room" || took != 1050*time.Millisecond {
		t.Errorf("applied %q after %v", applied, took)
	}
	applied, took, err = leave(t, 3*time.Second)
	wantCode(t, err, protocol.CodeUnknown)
	if !errors.Is(err, context.DeadlineExceeded) || applied != "a | room" || took > 1250*time.Millisecond {
		t.Errorf("applied %q after %v: %v", applied, took, err)
	}
}

func TestStart_Validates(t *testing.T) {
	f := &fakeStore{}
	a := actor.New(f, actor.Options{StateBytes: 10})
	defer mustClose(t, a)
	for _, op := range []protocol.Op{saveBytes("a", 11), must(protocol.Txn(save("a"), saveBytes("b", 11)))} {
		_, err := protocol.Do(t.Context(), a, op)
		wantCode(t, err, protocol.CodeInvalid)
		if large, _ := protocol.AsError(err).Fact(protocol.FactTooLarge); large != "1" {
			t.Errorf("%v", err)
		}
	}
	if _, err := protocol.Do(t.Context(), a, saveBytes("a", 10)); err != nil {
		t.Error(err)
	}
	if got := f.applied(); got != "a" {
		t.Errorf("applied %q", got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestStart_Reads: what changes nothing never passes the writer.
func TestStart_Reads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, entered, pass := gate()
		f.onRead = func(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
			if op.ID() == "slow" {
				<-ctx.Done()
				return protocol.Reply{}, ctx.Err()
			}
			return protocol.Reply{Found: true, State: []byte(op.Kind().String())}, nil
		}
		a := actor.New(f, actor.Options{})
		blocked := async(t.Context(), a, save("a"))
		<-entered
		for _, op := range []protocol.Op{
			must(protocol.Load("a")), must(protocol.Stat("a")), must(protocol.List("", "", 0)), must(protocol.Count("")),
			must(protocol.Scan(0, 1)), must(protocol.Txn(must(protocol.Load("a")), must(protocol.Check("a", protocol.IfExists())))),
		} {
			if r, err := protocol.Do(t.Context(), a, op); err != nil || string(r.State) != op.Kind().String() {
				t.Errorf("%v: %+v, %v", op.Kind(), r, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Load(ctx, "slow"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		pass <- struct{}{}
		wantCode(t, <-blocked, "")
		mustClose(t, a)
	})
}
