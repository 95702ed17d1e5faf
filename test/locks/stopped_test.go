//go:build system

package locks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestHolder_Stopped has the holder of the lock stopped, so that the kernel never takes the lock from it. Far more
// callers come than may wait: the queue stays within its bound, everyone is told in time that nothing was applied, and
// those who read notice nothing. When the holder goes on, so does everybody.
func TestHolder_Stopped(t *testing.T) {
	const savers, mailbox = 200, 32
	const deadline = 5 * time.Second
	w := ways{
		args: []string{"--set", "timeouts.state_store_lock=0.1", "--set", "timeouts.state_store_retry_max=2",
			"--set", "timeouts.state_store_retry_base=0.05", "--set", fmt.Sprintf("actor.mailbox=%d", mailbox),
			"--set", fmt.Sprintf("timeouts.request=%g", deadline.Seconds())},
		store: store.Options{LockTimeout: 100 * time.Millisecond,
			Retry: store.Retry{Max: 2, Base: 50 * time.Millisecond, MaxDelay: time.Second, Jitter: 0.1}},
		actor: actor.Options{Mailbox: mailbox},
	}
	w.each(t, func(t *testing.T, db string, s service) {
		first, err := s.Save(harness.Guarded(t), "before", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		holder := outside(t, "hold", db)
		holder.Line(t, "held")
		holder.Signal(t, syscall.SIGSTOP)
		reads := readOn(t, s)
		most := watch(t, s)
		begun := time.Now()
		codes := refusals(t, s, savers, deadline)
		t.Logf("%d savers were refused within %v: %v; at most %d waited", savers, time.Since(begun).Round(time.Millisecond), codes, most())
		if most() > mailbox {
			t.Errorf("%d requests waited, %d may", most(), mailbox)
		}
		if codes[protocol.CodeLocked]+codes[protocol.CodeOverloaded] != savers || codes[protocol.CodeLocked] == 0 {
			t.Errorf("the savers were told %v, want LOCKED or OVERLOADED", codes)
		}
		n, longest := reads()
		t.Logf("%d reads meanwhile, the longest took %v", n, longest)
		if n == 0 {
			t.Error("no read was answered")
		}
		holder.Signal(t, syscall.SIGCONT)
		holder.CloseInput()
		holder.Line(t, "released")
		after, err := s.Save(harness.Guarded(t), "after", []byte(`{}`))
		if err != nil || after.Revision != first.Revision+1 {
			t.Errorf("a save afterwards: revision %d, %v; the one before had %d", after.Revision, err, first.Revision)
		}
		s.stop()
		if got := sql(t, db, "SELECT agent_id FROM agent_state ORDER BY agent_id"); got != "after\nbefore" {
			t.Errorf("the file holds %q", got)
		}
	})
}

// refusals saves with many callers at once, and counts what they are told, each in its time.
func refusals(t *testing.T, s service, savers int, deadline time.Duration) map[protocol.Code]int {
	t.Helper()
	var mu sync.Mutex
	codes := map[protocol.Code]int{}
	var all sync.WaitGroup
	for i := range savers {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), deadline+time.Second)
			defer cancel()
			_, err := s.Save(ctx, fmt.Sprintf("refused-%d", i), []byte(`{}`))
			mu.Lock()
			defer mu.Unlock()
			codes[protocol.CodeOf(err)]++
		})
	}
	all.Wait()
	return codes
}

// watch looks at the queue until the test is over. The function gives the most that waited so far.
func watch(t *testing.T, s service) func() int64 {
	t.Helper()
	var most atomic.Int64
	var watcher sync.WaitGroup
	ctx, cancel := context.WithCancel(harness.Guarded(t))
	stop := func() {
		cancel()
		watcher.Wait()
	}
	watcher.Go(func() {
		for ctx.Err() == nil {
			most.Store(max(most.Load(), s.waiting()))
		}
	})
	t.Cleanup(stop)
	return func() int64 {
		stop()
		return most.Load()
	}
}

// readOn reads in a loop until the function is called, which tells how often and how long at most.
func readOn(t *testing.T, s service) func() (n int64, longest time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(harness.Guarded(t))
	var reader sync.WaitGroup
	var n int64
	var longest time.Duration
	reader.Go(func() {
		for ctx.Err() == nil {
			begun := time.Now()
			_, err := s.reads.Load(ctx, "before")
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a read while the lock is held: %v", err)
				}
				return
			}
			n++
			longest = max(longest, time.Since(begun))
		}
	})
	stop := func() {
		cancel()
		reader.Wait()
	}
	t.Cleanup(stop)
	return func() (int64, time.Duration) {
		stop()
		return n, longest
	}
}
