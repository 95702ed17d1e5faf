package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

// TestBatch_DrainsTheMailbox: while one commit is on its way the next batch fills, in order, and without a timer.
func TestBatch_DrainsTheMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, taken, pass := takenGate()
		a := actor.New(f, actor.Options{})
		begun := time.Now()
		var waits []func() protocol.Reply
		for i, id := range ids(64) {
			waits = append(waits, start(t.Context(), a, save(id)))
			if i == 0 {
				<-taken
			}
		}
		if got := a.Info().Waiting; got != 63 {
			t.Errorf("%d are waiting", got)
		}
		pass <- struct{}{}
		<-taken
		pass <- struct{}{}
		for i, wait := range waits {
			if r := wait(); r.Err != nil || r.Revision != int64(i+1) {
				t.Errorf("reply %d: %+v", i, r)
			}
		}
		if got := fmt.Sprint(f.sizes()); got != "[1 63]" {
			t.Errorf("batches of %s", got)
		}
		if info := a.Info(); info.Batches != 2 || info.Requests != 64 || info.LargestBatch != 63 || info.Bytes == 0 || info.Waiting != 0 {
			t.Errorf("%+v", info)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("somebody slept for %v", took)
		}
		mustClose(t, a)
	})
}

// TestBatch_Bounds: what waits behind a blocked first request, and the batches that it makes.
func TestBatch_Bounds(t *testing.T) {
	size := func(n int) int { op := saveBytes("a", n); return op.Size() }
	for name, test := range map[string]struct {
		options actor.Options
		bytes   []int // of the states that wait
		want    string
	}{
		"by count":            {actor.Options{Batch: 3}, []int{1, 1, 1, 1, 1, 1, 1}, "[1 3 3 1]"},
		"count of one":        {actor.Options{Batch: 1}, []int{1, 1}, "[1 1 1]"},
		"by bytes":            {actor.Options{BatchBytes: 2 * size(100)}, []int{100, 100, 100, 100, 100}, "[1 2 2 1]"},
		"one byte too many":   {actor.Options{BatchBytes: 2*size(100) - 1}, []int{100, 100, 100}, "[1 1 1 1]"},
		"a large one alone":   {actor.Options{BatchBytes: size(1000)}, []int{100, 5000, 100, 100}, "[1 1 1 2]"},
		"a large one first":   {actor.Options{BatchBytes: size(1000)}, []int{5000, 100, 100}, "[1 1 2]"},
		"large ones in a row": {actor.Options{BatchBytes: size(1000)}, []int{5000, 5000, 5000}, "[1 1 1 1]"},
		"larger than mailbox": {actor.Options{BatchBytes: size(1000), MailboxBytes: 300}, nil, "[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, taken, pass := takenGate()
				a := actor.New(f, test.options)
				waits := []func() protocol.Reply{start(t.Context(), a, save("0"))}
				<-taken
				for i, n := range test.bytes {
					waits = append(waits, start(t.Context(), a, saveBytes(fmt.Sprint(i+1), n)))
				}
				go func() {
					for range taken {
						pass <- struct{}{}
					}
				}()
				pass <- struct{}{}
				for i, wait := range waits {
					if r := wait(); r.Err != nil || r.Revision != int64(i+1) {
						t.Errorf("reply %d: %+v, not in order", i, r)
					}
				}
				if got := fmt.Sprint(f.sizes()); got != test.want {
					t.Errorf("batches of %s, want %s", got, test.want)
				}
				mustClose(t, a)
				close(taken)
			})
		})
	}
}

// TestBatch_JoinsUnderTheLock: the batch is settled only when the lock is held, not when the first request came.
func TestBatch_JoinsUnderTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, entered, pass := gate()
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		one := start(t.Context(), a, save("one"))
		<-entered
		two := start(t.Context(), a, save("two"))
		ctx, cancel := context.WithCancel(t.Context())
		left := async(ctx, a, save("left"))
		synctest.Wait()
		cancel()
		wantCode(t, <-left, protocol.CodeCanceled)
		three := start(t.Context(), a, save("three"))
		pass <- struct{}{}
		for _, wait := range []func() protocol.Reply{one, two, three} {
			wantCode(t, wait().Err, "")
		}
		if got := f.applied(); got != "one two three" {
			t.Errorf("applied %q", got)
		}
		go func() { <-entered; pass <- struct{}{} }()
		wantRoom(t, a)
		mustClose(t, a)
	})
}

// TestBatch_Release: a batch that was rolled back is taken again, without those who have left meanwhile and with
// those who have come.
func TestBatch_Release(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		step := make(chan struct{})
		f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
			if n > 1 {
				return f.apply(b), nil
			}
			if got := len(b.Take()); got != 1 {
				t.Errorf("first taken: %d", got)
			}
			<-step
			b.Release()
			b.Asking(2)
			<-step
			if got := len(b.Take()); got != 2 {
				t.Errorf("taken again: %d", got)
			}
			b.Release()
			<-step
			return f.apply(b), nil
		}
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		early, leave := context.WithCancel(t.Context())
		first := async(early, a, save("first"))
		synctest.Wait()
		second := async(t.Context(), a, save("second"))
		synctest.Wait()
		step <- struct{}{} // released once, both wait
		synctest.Wait()
		step <- struct{}{} // taken and released again
		synctest.Wait()
		leave()
		wantCode(t, <-first, protocol.CodeCanceled)
		third := async(t.Context(), a, save("third"))
		synctest.Wait()
		step <- struct{}{}
		wantCode(t, <-second, "")
		wantCode(t, <-third, "")
		if got := f.applied(); got != "second third" {
			t.Errorf("applied %q", got)
		}
		wantRoom(t, a)
		mustClose(t, a)
	})
}

// TestBatch_LeaveWhileTaken: who leaves a batch in progress, which then is rolled back, was not applied, but has
// been told UNKNOWN; nothing of it comes back.
func TestBatch_LeaveWhileTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		step := make(chan struct{})
		f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
			if n == 1 {
				b.Take()
				<-step
				b.Release()
			}
			return f.apply(b), nil
		}
		a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := <-async(ctx, a, save("first"))
		wantCode(t, err, protocol.CodeUnknown)
		step <- struct{}{}
		synctest.Wait()
		if got := f.applied(); got != "" {
			t.Errorf("applied %q", got)
		}
		wantRoom(t, a)
		mustClose(t, a)
	})
}

// TestBatch_Fails: an error of the whole batch reaches everyone in it, with its own code, and nobody else.
func TestBatch_Fails(t *testing.T) {
	for _, code := range []protocol.Code{
		protocol.CodeUnknown, protocol.CodeFull, protocol.CodeIO, protocol.CodeUnavailable, protocol.CodeReadOnly, protocol.CodeCorrupt,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeStore{}
			f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
				if n > 1 {
					return f.apply(b), nil
				}
				b.Take()
				if code != protocol.CodeUnknown {
					b.Release()
				}
				return nil, protocol.Errorf(code, "it failed").Because(errors.New("the disk"))
			}
			a := actor.New(f, actor.Options{MailboxBytes: 1 << 20})
			wantCode(t, <-async(t.Context(), a, save("a")), code)
			wantCode(t, <-async(t.Context(), a, save("b")), "")
			wantRoom(t, a)
			mustClose(t, a)
		})
	}
}
