//go:build system

package fault

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestPower cuts the power at many moments of a recorded run. Whatever the disk has made of the writes that were not
// synced, every acknowledged change is there, transactions are whole, and no revision is used again.
func TestPower(t *testing.T) {
	random := harness.Random(t)
	r := recordShared(t, "full")
	cuts := 60
	if harness.Long() {
		cuts = 2000
	}
	r.mustSurvive(t, r.cuts(random, cuts), random, Nothing, Random, Most)
}

// TestPower_Start is TestPower for one worker: the creation of a file, the adoption of one, checkpoints and closing, with
// cuts all over the trace, or before each of its lines when long.
func TestPower_Start(t *testing.T) {
	for name, from := range starts() {
		t.Run(name, func(t *testing.T) {
			random := harness.Random(t)
			r := recordAlone(t, from)
			cuts := map[int]bool{}
			for line := range r.trace.Lines + 1 {
				if harness.Long() || random.IntN(r.trace.Lines) < 150 {
					cuts[line+1] = true
				}
			}
			r.mustSurvive(t, cuts, random, Nothing, Random, Most)
		})
	}
}

// TestPower_FailedSync has one sync fail, and cuts the power later. The system has thrown away what it could not write,
// and shows it to programs all the same: what is acknowledged afterwards must not build on it.
func TestPower_FailedSync(t *testing.T) {
	for name, from := range starts() {
		t.Run(name, func(t *testing.T) {
			random := harness.Random(t)
			missed := 0
			for _, p := range someSyncs(t, from) {
				r := recordAlone(t, from, "-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", p.call, p.n))
				i := slices.IndexFunc(r.trace.Calls, func(c *Call) bool { return c.Injected })
				if i < 0 {
					missed++
					continue
				}
				t.Logf("%v: the sync of %s fails", p, filepath.Base(r.trace.Calls[i].Path))
				cuts := map[int]bool{r.trace.Lines + 1: true}
				for n := range 15 {
					cuts[1+random.IntN(r.trace.Lines)] = true
					cuts[min(r.trace.Calls[i].End+n, r.trace.Lines)+1] = true // where it still counts that nothing else was synced
				}
				lucks := []Luck{Nothing, Random, Most}
				if p.file == "/" { // a name that is missing does harm only to a page that is torn
					lucks = append(lucks, slices.Repeat([]Luck{Random}, 9)...)
				}
				r.mustSurvive(t, cuts, random, lucks...)
			}
			if missed > 5 {
				t.Errorf("%d syncs did not fail", missed)
			}
		})
	}
}

// someSyncs chooses syncs, and among them all of the folder while the file is opened: SQLite does not heed that these fail.
func someSyncs(t *testing.T, from start) []point {
	t.Helper()
	var syncs []point
	calls := map[string]int{}
	for _, p := range points(t, from) {
		if p.call == "fsync" || p.call == "fdatasync" {
			calls[p.call]++
			p.n = calls[p.call] // whatever the file
			syncs = append(syncs, p)
		}
	}
	chosen := choose(syncs, 15)
	for _, p := range syncs {
		if p.phase == opening && p.file == "/" && !slices.Contains(chosen, p) {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

func (r *recording) mustSurvive(t *testing.T, cuts map[int]bool, random *rand.Rand, lucks ...Luck) {
	t.Helper()
	images, wrong := r.replay(t, cuts, random, nil, lucks...)
	t.Logf("%d moments, %d images, %d wrong", len(cuts), images, len(wrong))
	for _, err := range wrong {
		t.Error(err)
	}
}

// TestPower_Checker: the images do show a sync that is missing. A disk that lies about one of them loses what was
// acknowledged, and so does a run that does not sync before it answers.
func TestPower_Checker(t *testing.T) {
	random := harness.Random(t)
	full := recordShared(t, "full")
	full.mustLose(t, "the fsyncs of the log", random, func(c *Call) bool { return c.Path == full.db+"-wal" })
	full.mustLose(t, "the fsyncs of the database", random, func(c *Call) bool { return c.Path == full.db })
	full.mustLose(t, "the fsyncs of the folder", random, func(c *Call) bool { return c.Path == filepath.Dir(full.db) })
	recordShared(t, "normal").mustLose(t, "the fsyncs that durability normal leaves out", random, nil)
}

// mustLose cuts the power until something is lost. Where checkpoints follow each other quickly most moments lose nothing,
// since a checkpoint syncs the log: a few cuts would now and then see none of the others.
func (r *recording) mustLose(t *testing.T, without string, random *rand.Rand, lies func(*Call) bool) {
	t.Helper()
	total := 0
	for range 50 {
		images, wrong := r.replay(t, r.cuts(random, 10), random, lies, Nothing)
		total += images
		if len(wrong) > 0 {
			t.Logf("without %s: %d images, %d of the last %d wrong", without, total, len(wrong), images)
			return
		}
	}
	t.Errorf("nobody misses %s in %d images", without, total)
}
