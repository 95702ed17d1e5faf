//go:build system

package locks

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/test/harness"
)

// spilled is how many megabytes the process has committed that is killed, and how many it has not.
const spilled = 64

// TestHolder_Killed kills a process that holds the lock, with much of a transaction in the log that will never be
// committed. Those who wait go on; what it had committed is there, and nothing else of it.
func TestHolder_Killed(t *testing.T) {
	ways{}.each(t, func(t *testing.T, db string, s service) {
		holder := python(t, "spill", db, fmt.Sprint(spilled))
		holder.Line(t, "held")
		t.Logf("a log of %d MB", size(t, db+"-wal")>>20)
		var savers sync.WaitGroup
		for i := range 16 {
			savers.Go(func() {
				if _, err := s.Save(harness.Guarded(t), fmt.Sprintf("waits-%d", i), []byte(`{}`)); err != nil {
					t.Errorf("save %d: %v", i, err)
				}
			})
		}
		harness.Eventually(t, "all but one wait in the mailbox", func() bool { return s.waiting() == 15 })
		begun := time.Now()
		holder.Kill()
		savers.Wait()
		t.Logf("16 saves were through %v after the kill", time.Since(begun).Round(time.Millisecond))
		s.stop()
		wantSpilled(t, db)
	})
}

// TestRecovery_Together kills everyone who has the file open, with a large log that nobody has brought in, and has
// four programs open it at once. One of them repairs it, the others wait for that.
func TestRecovery_Together(t *testing.T) {
	harness.Build(t, harness.Outsider) // not in the middle
	for round := range 2 {
		db := harness.File(t)
		d := harness.Start(t, db)
		holder := python(t, "spill", db, fmt.Sprint(spilled))
		holder.Line(t, "held")
		d.Signal(t, syscall.SIGKILL)
		holder.Signal(t, syscall.SIGKILL)
		<-d.Gone()
		<-holder.Gone()
		log := size(t, db+"-wal")
		begun := time.Now()
		others := []*harness.Process{python(t, "once", db), python(t, "once", db), outside(t, "exec", db, "UPDATE agent_state SET updated_at = 0")}
		d = harness.Start(t, db)
		ready := time.Since(begun)
		for i, p := range others {
			if code := p.Wait(t); code != 0 {
				t.Errorf("program %d: exit code %d: %s", i, code, p.Output())
			}
		}
		t.Logf("round %d: a log of %d MB; the daemon was ready after %v, all others after %v; the Python programs took %s and %s", round,
			log>>20, ready.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond), others[0].Line(t, "{"), others[1].Line(t, "{"))
		d.Stop(t)
		wantSpilled(t, db)
	}
}

func wantSpilled(t *testing.T, db string) {
	t.Helper()
	if n := sqlNumber(t, db, "SELECT count(*) FROM agent_state WHERE agent_id LIKE 'committed-%'"); n != spilled {
		t.Errorf("%d agents are there that were committed before the kill, want %d", n, spilled)
	}
	if n := sqlNumber(t, db, "SELECT count(*) FROM agent_state WHERE agent_id LIKE 'uncommitted-%'"); n != 0 {
		t.Errorf("%d agents are there that were never committed", n)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
