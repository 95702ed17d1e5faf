package actor_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

// TestBatch_Locked: when the lock's budget is spent, those fail who have waited through all of it, and no others.
func TestBatch_Locked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, entered, pass := gate()
		inner := f.onApply
		f.onApply = func(ctx context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
			if n != 2 {
				return inner(ctx, n, b)
			}
			entered <- n
			<-pass
			return nil, protocol.Errorf(protocol.CodeLocked, "locked").With(protocol.FactAttempts, "6")
		}
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		warm := async(t.Context(), a, save("warm"))
		<-entered
		pass <- struct{}{}
		wantCode(t, <-warm, "")
		early := []<-chan error{async(t.Context(), a, save("e0"))}
		<-entered
		for range 2 {
			early = append(early, async(t.Context(), a, save("e")))
			synctest.Wait()
		}
		// Those came after the wait for the lock had begun: they get a budget of their own.
		pass <- struct{}{}
		wantCode(t, <-early[0], protocol.CodeLocked)
		<-entered
		pass <- struct{}{}
		wantCode(t, <-early[1], "")
		wantCode(t, <-early[2], "")

		go func() {
			for range entered {
				pass <- struct{}{}
			}
		}()
		wantRoom(t, a)
		mustClose(t, a)
		close(entered)
	})
}

// TestBatch_LockedFailsTheQueue: the same with some that were in the mailbox before.
func TestBatch_LockedFailsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		pass := make(chan struct{})
		f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
			if n == 1 {
				ops := b.Take()
				<-pass
				return f.commit(ops), nil
			}
			if n == 2 {
				<-pass
				return nil, protocol.Errorf(protocol.CodeLocked, "locked")
			}
			return f.apply(b), nil
		}
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		add := func(n int) (list []<-chan error) {
			for range n {
				list = append(list, async(t.Context(), a, save("x")))
				synctest.Wait()
			}
			return list
		}
		first, early := add(1), add(3)
		pass <- struct{}{}
		wantCode(t, <-first[0], "")
		synctest.Wait()
		late := add(2)
		pass <- struct{}{}
		for _, done := range early {
			wantCode(t, <-done, protocol.CodeLocked)
		}
		for _, done := range late {
			wantCode(t, <-done, "")
		}
		wantRoom(t, a)
		mustClose(t, a)
	})
}

// TestBatch_LockedAfterTake: the lock is met at COMMIT only, when those that waited are in the batch already.
func TestBatch_LockedAfterTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		pass := make(chan struct{})
		f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
			switch n {
			case 1:
				ops := b.Take()
				<-pass
				return f.commit(ops), nil
			case 2:
				b.Take()
				b.Release()
				<-pass
				return nil, protocol.Errorf(protocol.CodeLocked, "locked")
			default:
				return f.apply(b), nil
			}
		}
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		var first, early, late []<-chan error
		for n, to := range []*[]<-chan error{&first, &early, &early, &late, &late} {
			if n == 3 {
				pass <- struct{}{}
				synctest.Wait()
			}
			*to = append(*to, async(t.Context(), a, save("x")))
			synctest.Wait()
		}
		pass <- struct{}{}
		wantCode(t, <-first[0], "")
		for i := range 2 {
			wantCode(t, <-early[i], protocol.CodeLocked)
			wantCode(t, <-late[i], "")
		}
		wantRoom(t, a)
		mustClose(t, a)
	})
}
