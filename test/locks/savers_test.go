//go:build system

package locks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/test/harness"
)

// savers is how many callers save beside the others.
const savers = 16

// ours is what the savers of this side did.
type ours struct {
	mu                sync.Mutex
	saves, increments int
	longest           time.Duration
	last              map[string]int

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startSavers has them save until stop.
func startSavers(t *testing.T, s service) *ours {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &ours{last: map[string]int{}, cancel: cancel}
	for i := range savers {
		c.running.Go(func() { c.save(ctx, t, s, i) })
	}
	t.Cleanup(func() {
		cancel()
		c.running.Wait()
	})
	return c
}

func (c *ours) stop(t *testing.T) {
	t.Helper()
	c.cancel()
	c.running.Wait()
	t.Logf("%d saves, the longest took %v; %d increments", c.saves, c.longest.Round(time.Millisecond), c.increments)
	if c.saves == 0 {
		t.Error("nothing was saved")
	}
}

// save saves agents of its own until ctx ends, and now and then increments the counter that everyone increments.
func (c *ours) save(ctx context.Context, t *testing.T, s service, saver int) {
	t.Helper()
	guard := harness.Guarded(t)
	for seq := 0; ctx.Err() == nil; seq++ {
		begun := time.Now()
		id := fmt.Sprintf("inside-%d-%d", saver, seq%4)
		var err error
		if seq%8 == 7 {
			_, err = actor.Update(guard, s.Handler, "counter", func(n *int) error { *n++; return nil })
		} else {
			_, err = s.Save(guard, id, fmt.Appendf(nil, `{"seq": %d}`, seq))
		}
		if err != nil {
			t.Errorf("saver %d, after %v: %v", saver, time.Since(begun), err)
			return
		}
		c.mu.Lock()
		if seq%8 == 7 {
			c.increments++
		} else {
			c.saves++
			c.longest = max(c.longest, time.Since(begun))
			c.last[id] = seq
		}
		c.mu.Unlock()
	}
}

// verify expects in the file what everybody saved last, and every increment.
func (c *ours) verify(t *testing.T, db string) {
	t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(sql(t, db, "SELECT agent_id, state_json FROM agent_state")) {
		id, state, _ := strings.Cut(strings.TrimSpace(line), "|")
		got[id] = state
	}
	for id, seq := range c.last {
		if want := fmt.Sprintf(`{"seq": %d}`, seq); got[id] != want {
			t.Errorf("%s holds %q; its writer saved %s last", id, got[id], want)
		}
	}
	if c.increments > 0 && got["counter"] != fmt.Sprint(c.increments) {
		t.Errorf("the counter is %s after %d increments", got["counter"], c.increments)
	}
}
