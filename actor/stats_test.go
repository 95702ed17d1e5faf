package actor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

// committed is what OnCommit was told.
type committed struct {
	Requests, Bytes int
	Took            time.Duration
}

// observe gives options whose hooks note what they are told. They are called by the writer, before it answers.
func observe() (o actor.Options, commits *[]committed, waits *[]time.Duration) {
	commits, waits = new([]committed), new([]time.Duration)
	o.MailboxBytes = 1 << 20
	o.OnCommit = func(requests, bytes int, took time.Duration) {
		*commits = append(*commits, committed{requests, bytes, took})
	}
	o.OnLockWait = func(took time.Duration) { *waits = append(*waits, took) }
	return o, commits, waits
}

// TestHooks: the wait for the lock and the transaction are told apart, also when a commit is rolled back and tried again.
func TestHooks(t *testing.T) {
	const wait, transaction = 3 * time.Second, 20 * time.Millisecond
	locked := protocol.Errorf(protocol.CodeLocked, "locked")
	for _, test := range []struct {
		name    string
		apply   func(f *fakeStore, b protocol.Batch) ([]protocol.Reply, error)
		commits []committed
		waits   []time.Duration
		want    protocol.Code
	}{
		{"at once", func(f *fakeStore, b protocol.Batch) ([]protocol.Reply, error) {
			b.Asking(1)
			ops := b.Take()
			time.Sleep(transaction)
			return f.commit(ops), nil
		}, []committed{{1, sizeOf(save("a")), transaction}}, []time.Duration{0}, ""},
		{"after retries", func(f *fakeStore, b protocol.Batch) ([]protocol.Reply, error) {
			b.Asking(1)
			time.Sleep(wait)
			b.Asking(2)
			time.Sleep(wait)
			ops := b.Take()
			time.Sleep(transaction)
			return f.commit(ops), nil
		}, []committed{{1, sizeOf(save("a")), transaction}}, []time.Duration{2 * wait}, ""},
		{"rolled back once", func(f *fakeStore, b protocol.Batch) ([]protocol.Reply, error) {
			b.Asking(1)
			b.Take()
			time.Sleep(transaction)
			b.Release()
			time.Sleep(wait)
			b.Asking(2)
			ops := b.Take()
			time.Sleep(2 * transaction)
			return f.commit(ops), nil
		}, []committed{{1, sizeOf(save("a")), 2 * transaction}}, []time.Duration{0, wait}, ""},
		{"given up", func(_ *fakeStore, b protocol.Batch) ([]protocol.Reply, error) {
			b.Asking(1)
			time.Sleep(wait)
			return nil, locked
		}, nil, []time.Duration{wait}, protocol.CodeLocked},
		{"failed", func(_ *fakeStore, b protocol.Batch) ([]protocol.Reply, error) {
			b.Asking(1)
			b.Take()
			b.Release()
			return nil, protocol.Errorf(protocol.CodeFull, "full")
		}, nil, []time.Duration{0}, protocol.CodeFull},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeStore{}
				f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
					if n == 1 {
						return test.apply(f, b)
					}
					return f.apply(b), nil
				}
				o, commits, waits := observe()
				a := actor.New(f, o)
				_, err := protocol.Do(t.Context(), a, save("a"))
				wantCode(t, err, test.want)
				if diff := cmp.Diff(test.commits, *commits); diff != "" {
					t.Errorf("commits: %s", diff)
				}
				if diff := cmp.Diff(test.waits, *waits); diff != "" {
					t.Errorf("waits for the lock: %s", diff)
				}
				wantRoom(t, a)
				mustClose(t, a)
			})
		})
	}
}

// TestHooks_CallersLeft: those who have left are not counted, and a batch that all have left is none.
func TestHooks_CallersLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, entered, pass := gate()
		o, commits, _ := observe()
		a := actor.New(f, o)
		ctx, leave := context.WithCancel(t.Context())
		gone := async(ctx, a, save("gone"))
		<-entered
		leave()
		wantCode(t, <-gone, protocol.CodeCanceled)
		pass <- struct{}{}
		synctest.Wait() // the next one shall not join this batch

		ctx, leave = context.WithCancel(t.Context())
		gone = async(ctx, a, save("gone"))
		<-entered
		stays := async(t.Context(), a, save("s"))
		synctest.Wait()
		leave()
		wantCode(t, <-gone, protocol.CodeCanceled)
		pass <- struct{}{}
		wantCode(t, <-stays, "")
		if diff := cmp.Diff([]committed{{Requests: 1, Bytes: sizeOf(save("s"))}}, *commits); diff != "" {
			t.Error(diff)
		}
		if info := a.Info(); info.Batches != 1 || info.Requests != 1 || info.Bytes != int64(sizeOf(save("s"))) {
			t.Errorf("%+v", info)
		}
		mustClose(t, a)
	})
}

// TestInfo_Now: what an actor tells of the moment.
func TestInfo_Now(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, entered, pass := gate()
		size := int64(sizeOf(save("a")))
		a := actor.New(f, actor.Options{Mailbox: 1, MailboxBytes: 3 * size})
		now := func() actor.Info {
			synctest.Wait()
			i := a.Info()
			return actor.Info{Waiting: i.Waiting, WaitingBytes: i.WaitingBytes, Blocked: i.Blocked, Working: i.Working}
		}
		want := func(want actor.Info) {
			t.Helper()
			if diff := cmp.Diff(want, now()); diff != "" {
				t.Error(diff)
			}
		}
		want(actor.Info{})
		done := []<-chan error{async(t.Context(), a, save("a"))}
		<-entered
		time.Sleep(time.Second)
		want(actor.Info{WaitingBytes: size, Working: time.Second})
		for i, blocked := range []int64{0, 1, 2} { // one has its place, one waits for a place, one for bytes
			done = append(done, async(t.Context(), a, save("b")))
			want(actor.Info{Waiting: 1, WaitingBytes: min(int64(i+2), 3) * size, Blocked: blocked, Working: time.Second})
		}
		go func() {
			for range entered {
				pass <- struct{}{}
			}
		}()
		pass <- struct{}{}
		for _, d := range done {
			wantCode(t, <-d, "")
		}
		want(actor.Info{})
		mustClose(t, a)
		close(entered)
	})
}

// TestInfo_Defect: a writer that has died has no batch in hand.
func TestInfo_Defect(t *testing.T) {
	f := &fakeStore{onApply: func(context.Context, int, protocol.Batch) ([]protocol.Reply, error) { panic("defect") }}
	a := actor.New(f, actor.Options{})
	_, err := protocol.Do(t.Context(), a, save("a"))
	wantCode(t, err, protocol.CodeUnavailable)
	<-a.Done()
	if info := a.Info(); info.Working != 0 || info.WaitingBytes != 0 {
		t.Errorf("%+v", info)
	}
	mustClose(t, a)
}
