//go:build system

package locks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stated/stated/test/harness"
)

// creations is how often a file is created by two at once.
const creations = 200

// racer is another process that is told paths, and answers each with a line of JSON.
type racer struct {
	*harness.Process
	lines int // that it has printed
}

func newOpener(t *testing.T) *racer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &racer{Process: harness.Spawn(t, harness.Command{Path: self, Env: []string{openerChild + "=1"}})}
}

// next gives the next line that it prints.
func (r *racer) next(t *testing.T) string {
	t.Helper()
	r.lines++
	r.WaitLines(t, r.lines)
	return r.Lines()[r.lines-1]
}

func (r *racer) answer(t *testing.T, into any) {
	t.Helper()
	line := r.next(t)
	if err := json.Unmarshal([]byte(line), into); err != nil {
		t.Fatalf("it says %q", line)
	}
}

// release has an opener close the file.
func (r *racer) release(t *testing.T) {
	t.Helper()
	r.Tell(t, "")
	if line := r.next(t); line != "closed" {
		t.Errorf("closing the file: %s", line)
	}
}

// created gives a path for a round: every other time an empty file is there already.
func created(t *testing.T, dir string, round int) string {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("%d.db", round))
	if round%2 == 1 {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestCreate_Together has two programs create a file through stated at once, again and again: one becomes the owner and
// can save, the other is refused.
func TestCreate_Together(t *testing.T) {
	dir := t.TempDir()
	both := []*racer{newOpener(t), newOpener(t)}
	wins, named := [2]int{}, 0
	for round := range creations {
		path := created(t, dir, round)
		both[round/2%2].Tell(t, path)
		both[1-round/2%2].Tell(t, path)
		var answers [2]opened
		for i, r := range both {
			r.answer(t, &answers[i])
		}
		owner := 0
		if answers[1].Owner {
			owner = 1
		}
		loser := answers[1-owner]
		if !answers[owner].Owner || loser.Owner || loser.Code != "UNAVAILABLE" {
			t.Fatalf("round %d: the two say %+v", round, answers)
		}
		if loser.Pid != "" { // it is not there yet for a moment
			named++
			if loser.Pid != fmt.Sprint(both[owner].Pid()) {
				t.Errorf("round %d: refused because of process %s, the owner is %d", round, loser.Pid, both[owner].Pid())
			}
		}
		wins[owner]++
		both[owner].release(t)
		if round%20 < 2 {
			harness.MustCheck(t, path)
		}
	}
	t.Logf("%d files: one was the owner of %d, the other of %d; the owner was named %d times", creations, wins[0], wins[1], named)
}

// TestCreate_BesidePython has a Python program make its table in a file that stated opens at the same moment. Both find
// what they need, and what both have written is there.
func TestCreate_BesidePython(t *testing.T) {
	dir := t.TempDir()
	us, them := newOpener(t), &racer{Process: python(t, "create")}
	for round := range creations {
		path := created(t, dir, round)
		first, second := us, them
		if round/2%2 == 1 {
			first, second = them, us
		}
		first.Tell(t, path)
		second.Tell(t, path)
		var ours opened
		var theirs struct {
			Error  string
			Agents []string
		}
		us.answer(t, &ours)
		them.answer(t, &theirs)
		if !ours.Owner || theirs.Error != "" {
			t.Fatalf("round %d: stated says %+v, Python says %+v", round, ours, theirs)
		}
		us.release(t)
		them.Tell(t, path)
		them.answer(t, &theirs)
		if want := []string{fmt.Sprintf("opener-%d", us.Pid()), "python"}; !slices.Equal(theirs.Agents, want) {
			t.Errorf("round %d: the file holds %q, want %q", round, theirs.Agents, want)
		}
		if round%20 < 2 {
			harness.MustCheck(t, path)
		}
	}
}
