package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestLock_Short has another process hold the lock for two seconds: nobody is told.
func TestLock_Short(t *testing.T) {
	cases := map[string]struct {
		args  []string
		retry bool
	}{
		"with the defaults": {},
		"with retries":      {[]string{"--set", "timeouts.state_store_lock=0.1"}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := harness.File(t)
			d := harness.Start(t, db, c.args...)
			client := d.Client(t, resp.ClientOptions{})
			holder := outside(t, "hold", db)
			holder.Line(t, "held")
			saved := make(chan struct{})
			go func() {
				defer close(saved)
				saveAll(t, client.Methods, "waits", 64)
			}()
			select {
			case <-time.After(2 * time.Second): // this long the lock is held
			case <-saved:
				t.Error("the saves did not wait for the lock")
			}
			holder.CloseInput()
			released := time.Now()
			<-saved
			t.Logf("64 saves were through %v after the lock was free", time.Since(released).Round(time.Millisecond))
			retries := d.Logs(isRetry)
			if c.retry && len(retries) == 0 {
				t.Errorf("no retry was logged:\n%s", d.Output())
			}
			for _, e := range retries {
				if e["attempt"] == nil || e["delay"] == nil || e["elapsed"] == nil {
					t.Errorf("a retry was logged without attempt, delay and elapsed: %v", e)
				}
			}
			if n := infoOf(t, d.Addr).number(t, "lock_gave_up"); n != 0 {
				t.Errorf("the writer gave up %d times", n)
			}
			d.Stop(t)
		})
	}
}

func isRetry(e harness.Entry) bool { return e.Is("debug", "retrying") }

// saveAll saves n agents at once, and expects all of it to succeed.
func saveAll(t *testing.T, m protocol.Methods, prefix string, n int) {
	t.Helper()
	ctx := guarded(t)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if _, err := m.Save(ctx, fmt.Sprintf("%s-%d", prefix, i), []byte(`{}`)); err != nil {
				t.Errorf("save %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// TestLock_ForGood has another process hold the lock and not give it back. Within the budget everyone who saves is told
// LOCKED, with nothing written, while those who read notice nothing.
func TestLock_ForGood(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db, "--set", "timeouts.state_store_lock=0.1", "--set", "timeouts.state_store_retry_max=2",
		"--set", "timeouts.state_store_retry_base=0.05")
	const least, most = 3*100*time.Millisecond + (50+100)*9*time.Millisecond/10, 10 * time.Second
	client := d.Client(t, resp.ClientOptions{})
	ctx := guarded(t)
	first, err := client.Save(ctx, "before", []byte(`{"before":true}`))
	if err != nil {
		t.Fatal(err)
	}
	holder := outside(t, "hold", db)
	holder.Line(t, "held")
	reads := readOn(t, d.Client(t, resp.ClientOptions{}).Methods)
	begun := time.Now()
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			_, err := client.Save(ctx, fmt.Sprintf("locked-%d", i), []byte(`{}`))
			var e *protocol.Error
			if !errors.As(err, &e) || e.Code != protocol.CodeLocked {
				t.Errorf("save %d says %v, want LOCKED", i, err)
				return
			}
			if attempts, _ := e.Fact(protocol.FactAttempts); attempts != "3" {
				t.Errorf("save %d says %v, want attempts=3", i, err)
			}
			if elapsed, ok := e.Fact(protocol.FactElapsed); !ok || elapsed == "" {
				t.Errorf("save %d says %v, without the time that elapsed", i, err)
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took < least-50*time.Millisecond || took > most {
		t.Errorf("LOCKED came after %v, the budget is %v", took, least)
	}
	d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "gave up") })
	n, longest := reads()
	t.Logf("%d reads meanwhile, the longest took %v", n, longest)
	if n == 0 || longest > time.Second {
		t.Errorf("%d reads meanwhile, the longest took %v", n, longest)
	}
	holder.CloseInput()
	holder.Line(t, "released")
	after, err := client.Save(ctx, "after", []byte(`{}`))
	if err != nil {
		t.Fatalf("the lock is gone, but a save says %v", err)
	}
	if after.Revision != first.Revision+1 {
		t.Errorf("revision %d follows %d: something was written meanwhile", after.Revision, first.Revision)
	}
	if n, err := client.Count(ctx, "locked-"); err != nil || n != 0 {
		t.Errorf("%d agents of those who were told LOCKED are there, %v", n, err)
	}
	d.Stop(t)
}

// readOn reads in a loop until the function is called, which tells how often and how long at most.
func readOn(t *testing.T, m protocol.Methods) func() (n int64, longest time.Duration) {
	t.Helper()
	ctx := guarded(t)
	done := make(chan struct{})
	var reader sync.WaitGroup
	var n atomic.Int64
	var longest time.Duration
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			begun := time.Now()
			if _, err := m.Load(ctx, "before"); err != nil {
				t.Errorf("a read while the lock is held: %v", err)
				return
			}
			n.Add(1)
			longest = max(longest, time.Since(begun))
		}
	})
	return func() (int64, time.Duration) {
		close(done)
		reader.Wait()
		return n.Load(), longest
	}
}

// TestLock_Deadline shows that a caller with less time than the budget is told LOCKED in its time, and that nothing
// of it is written later.
func TestLock_Deadline(t *testing.T) {
	db := harness.File(t)
	a, stop := library(t, db, store.Options{})
	if _, err := a.Save(guarded(t), "before", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	holder := outside(t, "hold", db)
	holder.Line(t, "held")
	begun := time.Now()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := a.Save(ctx, fmt.Sprintf("impatient-%d", i), []byte(`{}`))
			if !errors.Is(err, protocol.CodeLocked) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("save %d says %v, want LOCKED by the deadline", i, err)
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("a deadline of 300ms ended after %v", took)
	}
	holder.CloseInput()
	holder.Line(t, "released")
	if _, err := a.Save(guarded(t), "after", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Count(guarded(t), "impatient-"); err != nil || n != 0 {
		t.Errorf("%d agents of those who left are there, %v", n, err)
	}
	stop()
}

// TestLock_DeadlineOfClient is the same through a daemon: the client cannot know what the daemon does with what it was
// sent, and says so in time.
func TestLock_DeadlineOfClient(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db, "--set", "timeouts.state_store_lock=0.1", "--set", "timeouts.state_store_retry_max=1")
	client := d.Client(t, resp.ClientOptions{})
	holder := outside(t, "hold", db)
	holder.Line(t, "held")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := client.Save(ctx, "impatient", []byte(`{}`))
	if took := time.Since(begun); !errors.Is(err, protocol.CodeUnknown) || !errors.Is(err, context.DeadlineExceeded) || took > time.Second {
		t.Errorf("after %v the client says %v", took, err)
	}
	// The daemon gives the request up by itself before the lock is free.
	d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "gave up") })
	holder.CloseInput()
	holder.Line(t, "released")
	saveAll(t, client.Methods, "after", 1)
	if n, err := client.Count(guarded(t), "impatient"); err != nil || n != 0 {
		t.Errorf("%d agents of the client that left are there, %v", n, err)
	}
	d.Stop(t)
}

// TestBatch_OneFails puts good and bad requests into one transaction: they wait behind a lock together.
func TestBatch_OneFails(t *testing.T) {
	const good = 24 // more would be shared out to two batches
	db := harness.File(t)
	a, stop := library(t, db, store.Options{})
	ctx := guarded(t)
	old, err := a.Save(ctx, "contested", []byte(`{"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	current, err := a.Save(ctx, "contested", []byte(`{"n":2}`))
	if err != nil {
		t.Fatal(err)
	}
	holder := outside(t, "hold", db)
	holder.Line(t, "held")
	before := a.Info()
	var all sync.WaitGroup
	for i := range good {
		all.Go(func() {
			if _, err := a.Save(ctx, fmt.Sprintf("good-%d", i), []byte(`{}`)); err != nil {
				t.Errorf("a neighbour of the bad request: %v", err)
			}
		})
	}
	all.Go(func() {
		_, err := a.SaveIf(ctx, "contested", []byte(`{"n":3}`), protocol.IfRevision(old.Revision))
		if revision, ok := protocol.CurrentRevision(err); !ok || revision != current.Revision {
			t.Errorf("the bad request says %v, want a conflict with revision %d", err, current.Revision)
		}
	})
	eventually(t, "all but one wait in the mailbox", func() bool { return a.Info().Waiting == good })
	holder.CloseInput()
	all.Wait()
	after := a.Info()
	if batches := after.Batches - before.Batches; batches != 1 || after.Requests-before.Requests != good+1 {
		t.Errorf("%d requests in %d batches, want %d in one", after.Requests-before.Requests, batches, good+1)
	}
	if n, err := a.Count(ctx, "good-"); err != nil || n != good {
		t.Errorf("%d good requests were written, %v", n, err)
	}
	stop()
}
