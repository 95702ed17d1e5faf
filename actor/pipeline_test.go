package actor_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

// pipelined makes a store whose batches are visible first and durable once outcome is sent to; and an actor that knows that,
// after one save.
func pipelined(t *testing.T, o actor.Options) (f *fakeStore, a *actor.Actor, outcome chan error) {
	t.Helper()
	f, outcome = &fakeStore{}, make(chan error)
	f.onSync = func(n int) error {
		if n == 1 {
			return nil
		}
		return <-outcome
	}
	o.MailboxBytes = 1 << 20
	a = actor.New(f, o)
	if _, err := protocol.Do(t.Context(), a, save("first")); err != nil {
		t.Fatal(err)
	}
	return f, a, outcome
}

// hold keeps the writer in its next Commit, in front of taking the batch, until release.
func hold(f *fakeStore) (release func()) {
	gate := make(chan struct{})
	f.onApply = func(_ context.Context, _ int, b protocol.Batch) ([]protocol.Reply, error) {
		<-gate
		return f.apply(b), nil
	}
	return func() { close(gate) }
}

// callers start so many saves, and tell of how many the outcome is there.
type callers struct{ done []<-chan error }

func (c *callers) save(t *testing.T, a *actor.Actor, n int) {
	t.Helper()
	for range n {
		c.done = append(c.done, async(t.Context(), a, save(fmt.Sprint("agent", len(c.done)))))
	}
	synctest.Wait()
}

func (c *callers) want(t *testing.T, what string, answered int) {
	t.Helper()
	synctest.Wait()
	n := 0
	for _, done := range c.done {
		n += len(done)
	}
	if n != answered {
		t.Errorf("%s: %d are answered, want %d", what, n, answered)
	}
}

func wantSizes(t *testing.T, f *fakeStore, what string, want ...int) {
	t.Helper()
	synctest.Wait()
	if got := f.sizes(); !slices.Equal(got, want) {
		t.Errorf("%s: the batches have %v, want %v", what, got, want)
	}
}

// TestPipeline: of many callers half are in each of two batches; one is committed while the other is being synced; and a
// reply comes when its own batch is durable.
func TestPipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, outcome := pipelined(t, actor.Options{})
		release := hold(f)
		var c callers
		c.save(t, a, 64)
		release()
		wantSizes(t, f, "beside the first sync", 1, 32, 32)
		c.want(t, "before any sync has ended", 0)
		outcome <- nil
		c.want(t, "after the first sync", 32)
		wantSizes(t, f, "nobody waits", 1, 32, 32)
		c.save(t, a, 31)
		wantSizes(t, f, "fewer wait than are ahead", 1, 32, 32)
		c.save(t, a, 1)
		wantSizes(t, f, "as many wait as are ahead", 1, 32, 32, 32)
		c.want(t, "beside the second sync", 32)
		outcome <- nil
		c.want(t, "after the second sync", 64)
		c.save(t, a, 3)
		wantSizes(t, f, "fewer wait again", 1, 32, 32, 32)
		outcome <- nil
		c.want(t, "after the third sync", 96)
		wantSizes(t, f, "nobody is ahead", 1, 32, 32, 32, 3)
		outcome <- nil
		c.want(t, "at last", 99)
		mustClose(t, a)
	})
}

// TestPipeline_Few: few callers share one batch, and those who come while it is being synced share the next.
func TestPipeline_Few(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, outcome := pipelined(t, actor.Options{})
		release := hold(f)
		var c callers
		c.save(t, a, 31)
		release()
		wantSizes(t, f, "all of them", 1, 31)
		c.save(t, a, 31)
		wantSizes(t, f, "beside the sync", 1, 31)
		outcome <- nil
		c.want(t, "after the sync", 31)
		wantSizes(t, f, "those who came", 1, 31, 31)
		outcome <- nil
		mustClose(t, a)
	})
}

// TestPipeline_Batch: the limit holds for half of the callers, too.
func TestPipeline_Batch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, outcome := pipelined(t, actor.Options{Batch: 20})
		release := hold(f)
		var c callers
		c.save(t, a, 50)
		release()
		wantSizes(t, f, "two stages", 1, 20, 20)
		outcome <- nil
		wantSizes(t, f, "the rest waits for the sync", 1, 20, 20)
		outcome <- nil
		wantSizes(t, f, "the rest", 1, 20, 20, 10)
		outcome <- nil
		c.want(t, "at last", 50)
		mustClose(t, a)
	})
}

// TestPipeline_SyncFails: a batch whose sync failed is UNKNOWN to all who are in it, and to nobody else.
func TestPipeline_SyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, outcome := pipelined(t, actor.Options{})
		release := hold(f)
		var c callers
		c.save(t, a, 64)
		release()
		wantSizes(t, f, "both are committed", 1, 32, 32)
		outcome <- protocol.Errorf(protocol.CodeUnknown, "input/output error")
		outcome <- nil
		c.want(t, "both syncs have ended", 64)
		unknown := 0
		for _, done := range c.done {
			if err := <-done; err != nil {
				wantCode(t, err, protocol.CodeUnknown)
				unknown++
			}
		}
		if unknown != 32 {
			t.Errorf("%d are told UNKNOWN", unknown)
		}
		go func() { outcome <- nil }()
		wantRoom(t, a)
		mustClose(t, a)
	})
}

// TestPipeline_Panic: when the sync of a batch panics nobody is left waiting, and nothing is committed any more.
func TestPipeline_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, outcome := pipelined(t, actor.Options{})
		release := hold(f)
		f.onSync = func(int) error {
			<-outcome
			panic("a defect")
		}
		var c callers
		c.save(t, a, 100)
		release()
		wantSizes(t, f, "beside the sync", 1, 50, 50)
		c.save(t, a, 5)
		close(outcome)
		c.want(t, "after the panic", 105)
		<-a.Done()
		for i, done := range c.done {
			want := protocol.CodeUnknown
			if i >= 100 {
				want = protocol.CodeUnavailable
			}
			wantCode(t, <-done, want)
		}
		wantSizes(t, f, "nothing is committed any more", 1, 50, 50)
		if _, err := protocol.Do(t.Context(), a, save("late")); err == nil {
			t.Error("it goes on")
		}
		mustClose(t, a)
	})
}

// TestPipeline_Close: Close waits for the syncs, and for what still waits behind them.
func TestPipeline_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, outcome := pipelined(t, actor.Options{})
		release := hold(f)
		var c callers
		c.save(t, a, 64)
		release()
		wantSizes(t, f, "both are committed", 1, 32, 32)
		outcome <- nil
		c.save(t, a, 5) // they wait for the sync ahead
		closed := make(chan struct{})
		go func() { mustClose(t, a); close(closed) }()
		wantSizes(t, f, "nobody else will come", 1, 32, 32, 5)
		select {
		case <-closed:
			t.Error("it is closed, and two batches are not durable")
		default:
		}
		outcome <- nil
		synctest.Wait()
		outcome <- nil
		<-closed
		for _, done := range c.done {
			wantCode(t, <-done, "")
		}
	})
}

// TestPipeline_Hooks: a batch is told of before its callers, when it is durable; until then the writer works.
func TestPipeline_Hooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, commits, _ := observe()
		f, a, outcome := pipelined(t, o)
		release := hold(f)
		var c callers
		c.save(t, a, 64)
		release()
		synctest.Wait()
		time.Sleep(time.Second)
		if got := a.Info().Working; got != time.Second {
			t.Errorf("the writer works since %v", got)
		}
		if n := len(*commits); n != 1 {
			t.Errorf("%d batches are told of, one is durable", n)
		}
		outcome <- nil
		c.want(t, "after the first sync", 32)
		time.Sleep(time.Second)
		if got := a.Info().Working; got != 2*time.Second {
			t.Errorf("the second batch is in hand since %v", got)
		}
		if got := (*commits)[1]; got.Requests != 32 || got.Took != time.Second {
			t.Errorf("%+v", got)
		}
		outcome <- nil
		c.want(t, "after the second sync", 64)
		if info := a.Info(); info.Working != 0 || info.Batches != 3 || info.Requests != 65 || info.LargestBatch != 32 {
			t.Errorf("%+v", info)
		}
		mustClose(t, a)
	})
}
