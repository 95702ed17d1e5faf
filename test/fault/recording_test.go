//go:build system

package fault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/store"
)

const recordedWorkers = 64 // so many that commits are pipelined

// recording is a run with everything that it wrote.
type recording struct {
	db      string
	was     []byte // the database before the run; nil is none
	owner   []byte // its .owner afterwards, which says how commits were made
	beliefs func() []*belief
	trace   *Trace
	begins  map[int][]*Call // by line
	ends    map[int][]*Call
}

// recordShared runs many workers through the actor.
func recordShared(t *testing.T, durability string) *recording {
	t.Helper()
	r := &recording{db: filepath.Join(t.TempDir(), "agents.db")}
	r.beliefs = func() (list []*belief) {
		for i := range recordedWorkers {
			list = append(list, newBelief(i, sharedScript(i), nil))
		}
		return list
	}
	// A sync takes long enough for the next batch to be written beside it.
	r.record(t, []string{fmt.Sprintf("%s=%d", childWorkers, recordedWorkers), childDurability + "=" + durability},
		"-e", "inject=fdatasync:delay_enter=20000")
	return r
}

// recordAlone runs one worker; args are more arguments for strace.
func recordAlone(t *testing.T, from start, args ...string) *recording {
	t.Helper()
	r := &recording{db: filepath.Join(t.TempDir(), "agents.db")}
	from.prepare(t, r.db)
	var err error
	if r.was, err = os.ReadFile(r.db); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	r.beliefs = func() []*belief { return []*belief{newBelief(0, aloneScript(), from.holds)} }
	r.record(t, nil, args...)
	return r
}

func (r *recording) record(t *testing.T, env []string, args ...string) {
	t.Helper()
	r.begins, r.ends = map[int][]*Call{}, map[int][]*Call{}
	lines, trace := strace{
		env: env, args: append([]string{fast, "-e", "trace=open,openat,write,rename,renameat,renameat2," + broken}, args...),
	}.run(t, r.db)
	r.trace = trace
	var err error
	if r.owner, err = os.ReadFile(r.db + ".owner"); err != nil {
		t.Fatal(err)
	}
	notes := bytes.SplitAfter(r.owner, []byte("\n"))
	notes[1] = []byte("\n") // at some of the moments there is no store yet
	r.owner = bytes.Join(notes, nil)
	said, kinds := 0, map[string]int{}
	for _, c := range trace.Calls {
		r.begins[c.Start] = append(r.begins[c.Start], c)
		if c.Returned {
			r.ends[c.End] = append(r.ends[c.End], c)
		}
		if isSaying(c) {
			said++
		}
		if file, ok := fileOf(c, r.db); ok {
			kinds[strings.TrimSpace(c.Name+" "+file)]++
		}
		if strings.HasPrefix(c.Name, "rename") {
			t.Errorf("line %d: the disk does not know %s", c.Start, c.Name)
		}
	}
	if said != len(lines) {
		t.Fatalf("%d lines were printed, %d are in the trace", len(lines), said)
	}
	if said > 0 {
		t.Logf("recorded: %d lines printed, %v", said, kinds)
	}
}

func isSaying(c *Call) bool { return c.Name == "write" && c.Number(0) == 1 }

// cuts chooses moments: a third of them while the database itself had writes that were not synced, in a checkpoint, and a third
// just before a sync of the log returns beside which the next commit was written.
func (r *recording) cuts(random *rand.Rand, n int) map[int]bool {
	var inCheckpoint, inSync []int
	var sync *Call
	for _, c := range r.trace.Calls {
		switch {
		case c.Path == r.db && c.Name == "pwrite64":
			inCheckpoint = append(inCheckpoint, c.End+1)
		case c.Path == r.db+"-wal" && isSync(c):
			sync = c
		case c.Path == r.db+"-wal" && c.Name == "pwrite64" && sync != nil && c.End < sync.End:
			inSync = append(inSync, sync.End)
		}
	}
	cuts := map[int]bool{r.trace.Lines + 1: true}
	for range n / 3 {
		cuts[1+random.IntN(r.trace.Lines)] = true
		cuts[inCheckpoint[random.IntN(len(inCheckpoint))]] = true
		if len(inSync) > 0 { // none where nothing is synced
			cuts[inSync[random.IntN(len(inSync))]] = true
		}
	}
	return cuts
}

// replay lets the power fail before each of the lines, and looks what is left with each kind of luck. It gives the number
// of images and what was wrong with them.
func (r *recording) replay(t *testing.T, cuts map[int]bool, random *rand.Rand, lies func(*Call) bool, lucks ...Luck) (images int, wrong []error) {
	t.Helper()
	disk := NewDisk(filepath.Dir(r.db), lies)
	if r.was != nil {
		disk.Put(filepath.Base(r.db), r.was)
	}
	var heard []string
	for line := 1; line <= r.trace.Lines+1; line++ {
		if cuts[line] {
			for _, luck := range lucks {
				images++
				if err := r.afterCut(t, disk.Image(random, luck), heard); err != nil {
					wrong = append(wrong, fmt.Errorf("power cut before line %d of %d, luck %d: %w", line, r.trace.Lines, luck, err))
				}
			}
		}
		for _, c := range r.ends[line] {
			if c.Start != line { // else it has not begun yet
				disk.End(c)
			}
		}
		for _, c := range r.begins[line] {
			disk.Begin(c)
			if isSaying(c) {
				heard = append(heard, strings.TrimSpace(c.Arg(1)))
			}
			if c.Returned && c.End == line {
				disk.End(c)
			}
		}
	}
	return images, wrong
}

// afterCut looks at an image as the next start of a program does, which must not take a torn commit for damage.
func (r *recording) afterCut(t *testing.T, image map[string][]byte, heard []string) error {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "cut")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // the test's folder goes anyway
	image["agents.db.owner"] = r.owner
	for name, content := range image {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beliefs := r.beliefs()
	for _, b := range beliefs {
		for _, line := range heard {
			if err := b.hear(line); err != nil {
				t.Fatal(err)
			}
		}
		b.crashed()
	}
	return lookAt(guarded(t), filepath.Join(dir, "agents.db"), store.DurabilityFull, beliefs)
}
