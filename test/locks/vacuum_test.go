//go:build system

package locks

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestSpace deletes nine tenths of many agents: the file becomes small without anybody asking for it, while the others
// are loaded and saved.
func TestSpace(t *testing.T) {
	agents := 10_000
	if harness.Long() {
		agents = 200_000
	}
	const stateBytes = 4000
	db := harness.File(t)
	d := harness.Start(t, db)
	c := d.Client(t, resp.ClientOptions{Connections: 4})
	ctx := harness.Guarded(t)
	id := func(i int) string { return fmt.Sprintf("agent-%06d", i) }
	inParallel(t, agents, func(i int) error {
		_, err := c.Save(ctx, id(i), fmt.Appendf(nil, `{"n":%d,"pad":"%0*d"}`, i, stateBytes, 0))
		return err
	})
	full := int64(agents) * stateBytes
	inParallel(t, agents, func(i int) error {
		if i%10 == 0 {
			return nil
		}
		_, err := c.Delete(ctx, id(i))
		return err
	})
	begun := time.Now()
	var took []time.Duration
	harness.Eventually(t, "the file is small", func() bool {
		for i := range 20 {
			start := time.Now()
			if _, err := c.Save(ctx, id(i*10), []byte(`{"n":0}`)); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		return d.Info(t).Number(t, "db_bytes") < full/4
	})
	slices.Sort(took)
	t.Logf("%d agents, %d MB; %d MB %v after nine tenths were deleted; of %d saves meanwhile the median took %v, the slowest hundredth %v",
		agents, full>>20, d.Info(t).Number(t, "db_bytes")>>20, time.Since(begun).Round(time.Millisecond), len(took),
		took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(time.Microsecond))
	if n, err := c.Count(ctx, ""); err != nil || n != int64(agents/10) {
		t.Errorf("%d agents are left, %v", n, err)
	}
	d.Stop(t)
}

// inParallel does something for each number up to n, with a few callers.
func inParallel(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	const callers = 32
	failed := make(chan error, callers)
	for caller := range callers {
		go func() {
			for i := caller; i < n; i += callers {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}
