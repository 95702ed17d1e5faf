//go:build system

package locks

import (
	"fmt"
	"testing"

	"github.com/stated/stated/test/harness"
)

// greedyReport is what a greedy writer tells at its end.
type greedyReport struct {
	Writes, Locked, Last int
	Errors               []string
	LongestMS            float64 `json:"longest_ms"`
}

const greedyWriters = 8

// manners is how greedy writers behave, in milliseconds at most.
type manners struct{ hold, pause int }

// TestGreedy runs eight Python programs that write all the time, beside sixteen savers. No change of either side is
// lost, and nobody here is told LOCKED. They are not told "locked" either, if they leave the lock alone for a moment
// now and then; else they are by each other, also without stated, since SQLite keeps no queue.
func TestGreedy(t *testing.T) {
	seconds := 6
	if harness.Long() {
		seconds = 30
	}
	cases := map[string]manners{
		"with a moment between":         {0, 20},
		"at full speed":                 {0, 0},
		"holding the lock up to 200 ms": {200, 0},
	}
	for name, m := range cases {
		t.Run(name, func(t *testing.T) {
			if harness.Long() {
				t.Run("without stated", func(t *testing.T) {
					db := harness.File(t)
					harness.Start(t, db).Stop(t)
					beGreedy(t, db, seconds, m)
				})
			}
			test := func(t *testing.T, db string, s service) {
				c := startSavers(t, s)
				reports := beGreedy(t, db, seconds, m)
				c.stop(t)
				s.stop()
				verifyGreedy(t, db, c, reports)
				for i, r := range reports {
					if r.Locked > 0 && m.pause > 0 {
						t.Errorf("greedy writer %d was told \"locked\" %d times", i, r.Locked)
					}
				}
			}
			if m.pause > 0 || harness.Long() {
				ways{}.each(t, test)
			} else {
				ways{}.daemon(t, test)
			}
		})
	}
}

func beGreedy(t *testing.T, db string, seconds int, m manners) (reports []greedyReport) {
	t.Helper()
	var processes []*harness.Process
	var writes, locked int
	var longest float64
	for i := range greedyWriters {
		processes = append(processes, python(t, "greedy", db, fmt.Sprintf("greedy-%d", i), fmt.Sprint(seconds), fmt.Sprint(m.hold), fmt.Sprint(m.pause)))
	}
	for _, p := range processes {
		r := report[greedyReport](t, p)
		reports = append(reports, r)
		if len(r.Errors) > 0 {
			t.Errorf("a greedy writer met %q", r.Errors)
		}
		writes, locked, longest = writes+r.Writes, locked+r.Locked, max(longest, r.LongestMS)
	}
	t.Logf("%d greedy writers: %d transactions in %d s, the longest took %.0f ms, %d times \"locked\"", greedyWriters, writes, seconds, longest, locked)
	return reports
}

func verifyGreedy(t *testing.T, db string, c *ours, reports []greedyReport) {
	t.Helper()
	for i, r := range reports {
		c.increments += r.Writes
		if r.Writes > 0 {
			c.last[fmt.Sprintf("greedy-%d", i)] = r.Last
		}
	}
	c.verify(t, db)
}
