package damage

import (
	"fmt"
	"testing"

	"github.com/stated/stated/test/harness"
)

// tally counts what came of many injuries.
type tally struct{ cases, open, reported, checked, deepOnly, harmless, hidden, hiddenWithout, entries int }

func (c *tally) add(v *verdict) {
	c.cases++
	switch {
	case v.found.open:
		c.open++
	case v.harmless():
		c.harmless++
	}
	if len(v.errors) > 0 {
		c.reported++
	}
	if v.found.check {
		c.checked++
	} else if v.found.deep {
		c.deepOnly++
	}
	if len(v.hidden) > 0 {
		c.hidden++
		if v.served == 0 {
			c.hiddenWithout++
		}
	}
	if len(v.entries) > 0 {
		c.entries++
	}
}

func (c tally) String() string {
	return fmt.Sprintf("%d cases: %d refused at opening, %d with an error at some time, %d found by check, %d by --deep alone; %d harmless; "+
		"agents not found in %d, in %d of them while nothing else gave an error but check and backup; wrong entries in lists in %d",
		c.cases, c.open, c.reported, c.checked, c.deepOnly, c.harmless, c.hidden, c.hiddenWithout, c.entries)
}

// TestDatabase damages a database that nobody has open.
func TestDatabase(t *testing.T) { random(t, historyOf(t, closed), "", long(2, 20)) }

// TestLog damages the log that a killed daemon has left.
func TestLog(t *testing.T) { random(t, historyOf(t, left), "-wal", long(2, 20)) }

// TestDatabaseBesideLog damages the database under a log.
func TestDatabaseBesideLog(t *testing.T) { random(t, historyOf(t, left), "", long(1, 10)) }

// TestIndex damages the index of a log that a killed daemon has left. SQLite makes it anew from the log.
func TestIndex(t *testing.T) { random(t, historyOf(t, left), "-shm", long(1, 8)) }

func random(t *testing.T, h *history, ending string, each int) {
	r := harness.Random(t)
	if len(h.files[ending]) == 0 {
		t.Fatalf("there is no %s", ending)
	}
	page := h.pageSize
	if ending == "-wal" {
		page += 24
	}
	for _, how := range injuries {
		var sum tally
		for range each {
			files := h.copyFiles()
			injured, what := how.do(r, files[ending], page)
			files[ending] = injured
			v := h.judge(t, files)
			sum.add(v)
			for _, text := range v.wrong {
				t.Errorf("%s%s, %s: %s", ending, how.name, what, text)
			}
			if len(v.hidden)+len(v.entries) > 0 && !v.found.check && !v.found.deep {
				t.Errorf("%s%s, %s: check finds nothing, but %q %q", ending, how.name, what, v.hidden, v.entries)
			}
		}
		t.Logf("%s%s: %v", ending, how.name, sum)
	}
}
