//go:build system

package fault

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// start is a file as a run finds it.
type start struct {
	prepare func(t *testing.T, db string)
	holds   map[string]string
	points  int // how many calls are broken, unless all are
}

// starts are the files that the sweeps begin with: none, which is created, and one of the Python project, which is adopted.
func starts() map[string]start {
	return map[string]start{
		"new":     {func(*testing.T, string) {}, nil, 60},
		"adopted": {makePython, pythonHolds, 40},
	}
}

// TestKill kills a program at each of its calls that change files, opens the file again, and finds every acknowledged
// change, and of the one in hand all or nothing.
func TestKill(t *testing.T) {
	for name, from := range starts() {
		t.Run(name, func(t *testing.T) {
			points := points(t, from)
			tried, hit := 0, map[string]int{}
			for _, p := range choose(points, from.points) {
				tried++
				if killAt(t, from, p) {
					hit[p.call+" "+p.file]++
				}
			}
			t.Logf("%d calls in one run, %d tried, killed at %v", len(points), tried, hit)
			for _, kind := range []string{"pwrite64 -wal", "fsync -wal", "fdatasync -wal", "pwrite64 ", "fsync ", "ftruncate -wal", "unlink -wal"} {
				if hit[kind] == 0 {
					t.Errorf("no kill at %q", kind)
				}
			}
			if harness.Long() {
				beyond(t, from, points)
			}
		})
	}
}

// beyond goes on behind the last call of each kind until nothing is killed any more.
func beyond(t *testing.T, from start, points []point) {
	t.Helper()
	last := map[string]point{}
	for _, p := range points {
		last[p.call+p.file] = p
	}
	for _, p := range last {
		for p.n++; killAt(t, from, p); p.n++ {
			t.Logf("one more: %v", p)
		}
	}
}

// killAt runs the script until the kill and looks what is left. It reports whether there was one.
func killAt(t *testing.T, from start, p point) bool {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	from.prepare(t, db)
	lines, trace := strace{args: p.inject(db, "signal=SIGKILL", 1)}.run(t, db)
	b := newBelief(0, aloneScript(), from.holds)
	hearAll(t, b, lines)
	for code, n := range b.codes {
		t.Errorf("%v: %d times %s before the kill", p, n, code)
	}
	if trace.Killed {
		b.crashed()
	}
	if err := look(guarded(t), db, b); err != nil {
		t.Errorf("killed at %v: %v", p, err)
	}
	return trace.Killed
}

// points lists the calls of a run that nothing disturbs.
func points(t *testing.T, from start) []point {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	from.prepare(t, db)
	lines, trace := strace{args: []string{fast, "-e", "trace=write," + broken}}.run(t, db)
	b := newBelief(0, aloneScript(), from.holds)
	hearAll(t, b, lines)
	if err := look(guarded(t), db, b); err != nil {
		t.Fatal(err)
	}
	var list []point
	counts := map[string]int{}
	threads := map[string]map[int]bool{}
	phase := opening
	for _, c := range trace.Calls {
		if c.Name == "write" && c.Number(0) == 1 {
			phase = after(phase, c.Arg(1))
		}
		file, ok := fileOf(c, db)
		if !ok || c.Name == "write" {
			continue
		}
		key := fmt.Sprint(c.Thread, c.Name, file)
		counts[key]++
		if threads[c.Name+file] == nil {
			threads[c.Name+file] = map[int]bool{}
		}
		threads[c.Name+file][c.Thread] = true
		list = append(list, point{c.Name, file, phase, counts[key]})
	}
	for kind, on := range threads {
		if len(on) > 1 {
			t.Logf("%s is called on %d threads: only the first to get as far is hit", kind, len(on))
		}
	}
	return list
}

// after gives what the program does after it has said a line.
func after(now phase, line string) phase {
	switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
	case "open", "ack", "checkpointed":
		return changing
	case "closed":
		return opening
	case "close", "checkpoint":
		return tidying
	}
	return now
}

// fileOf gives the file of a call as a point names it.
func fileOf(c *Call, db string) (string, bool) {
	path := c.Path
	switch c.Name {
	case "unlink":
		path = c.Arg(0)
	case "unlinkat":
		path = c.Arg(1)
	}
	if path == filepath.Dir(db) {
		return "/", true
	}
	return strings.CutPrefix(path, db)
}

// choose takes n of the points, or all when long: of each kind about as many as of the others, spread over the whole run.
func choose(points []point, n int) []point {
	if harness.Long() {
		return points
	}
	kinds := map[string][]point{}
	for _, p := range points {
		kind := string(p.phase) + p.call + p.file
		kinds[kind] = append(kinds[kind], p)
	}
	order := slices.Sorted(maps.Keys(kinds))
	slices.SortStableFunc(order, func(a, b string) int { return len(kinds[a]) - len(kinds[b]) })
	var chosen []point
	for i, kind := range order { // the rare ones first: what they leave is for the others
		chosen = append(chosen, spread(kinds[kind], max(1, (n-len(chosen))/(len(order)-i)))...)
	}
	return chosen
}

// spread takes at most n, at even distances.
func spread(points []point, n int) []point {
	if len(points) <= n {
		return points
	}
	var chosen []point
	for i := range n {
		chosen = append(chosen, points[i*len(points)/n])
	}
	return chosen
}
