//go:build system

package fault

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
)

// verdict is what a program has to be told when a call fails.
type verdict struct {
	must protocol.Code   // what the change in hand gets; empty when it is applied, or when may says more
	may  []protocol.Code // what else may be refused, before the disk is found to work again
}

// promised gives the policy for a call that fails. What fails before COMMIT is not applied. An fsync of the log that
// failed, and a write of it that failed for another reason than a full disk, leave open what a crash would bring back.
// EINTR is repeated, but for an fsync by SQLite. What fails in opening the file, or in tidying up, is no change's.
func promised(p point, errno string) verdict {
	notApplied := []protocol.Code{protocol.CodeIO}
	if errno == "ENOSPC" || errno == "EDQUOT" {
		notApplied = append(notApplied, protocol.CodeFull)
	}
	if p.phase != changing {
		return verdict{}
	}
	inDoubt := slices.Concat(notApplied, []protocol.Code{protocol.CodeConflict}) // what is in doubt may turn up later
	switch {
	case p.file != "-wal":
		return verdict{"", notApplied}
	case errno == "EINTR" && p.call != "fsync":
		return verdict{}
	case p.call == "fsync", p.call == "fdatasync":
		return verdict{protocol.CodeUnknown, inDoubt}
	case errno == "ENOSPC":
		return verdict{protocol.CodeFull, nil}
	default:
		return verdict{protocol.CodeUnknown, inDoubt}
	}
}

// lasting gives the policy for a disk that fails several times: when the first failure is over, others come, also while
// the store probes.
func lasting(p point, errno string) verdict {
	v := promised(p, errno)
	v.may = append(v.may, protocol.CodeUnknown, protocol.CodeIO, protocol.CodeConflict)
	if errno == "ENOSPC" {
		v.may = append(v.may, protocol.CodeFull)
	}
	return v
}

// TestErrno has single calls fail. The caller has to be told what is true, nobody may hang, the program has to go on by
// itself, and the next program that opens the file has to find what was acknowledged, and nothing that was refused.
func TestErrno(t *testing.T) {
	for name, from := range starts() {
		inChanges, others := split(points(t, from))
		if from.holds != nil { // with an adopted file they are the same
			inChanges = nil
		}
		for _, errno := range []string{"EIO", "ENOSPC", "EINTR", "EDQUOT", "ENOMEM"} {
			t.Run(name+"/"+errno, func(t *testing.T) {
				total := map[string]int{}
				chosen := append(choose(inChanges, 16), choose(others, 14)...)
				for _, p := range chosen {
					failAt(t, from, p, errno, 1, promised(p, errno), total)
				}
				t.Logf("%d calls failed; outcomes: %v", len(chosen), total)
			})
		}
	}
}

// TestErrno_Lasting is TestErrno for failures of the log that last for some calls.
func TestErrno_Lasting(t *testing.T) {
	from := starts()["new"]
	inChanges, _ := split(points(t, from))
	inChanges = slices.DeleteFunc(inChanges, func(p point) bool { return p.file != "-wal" })
	for _, errno := range []string{"EIO", "ENOSPC"} {
		t.Run(errno, func(t *testing.T) {
			const calls = 6
			total := map[string]int{}
			chosen := choose(inChanges, 4)
			for _, p := range chosen {
				failAt(t, from, p, errno, calls, lasting(p, errno), total)
			}
			t.Logf("%d times %d calls failed; outcomes: %v", len(chosen), calls, total)
		})
	}
}

// split tells the calls that a change makes from the others.
func split(points []point) (inChanges, others []point) {
	for _, p := range points {
		if p.phase == changing {
			inChanges = append(inChanges, p)
		} else {
			others = append(others, p)
		}
	}
	return inChanges, others
}

// failAt runs the script, has the call at the point fail, and those after it if there are to be several, and looks what the
// program was told and what is left.
func failAt(t *testing.T, from start, p point, errno string, calls int, want verdict, total map[string]int) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	from.prepare(t, db)
	args := append([]string{fast}, p.inject(db, "error="+errno, calls)...)
	lines, trace := strace{args: args}.run(t, db)
	said := strings.Join(lines, "\n")
	if !slices.ContainsFunc(trace.Calls, func(c *Call) bool { return c.Injected }) {
		t.Errorf("%v was not called", p)
	}
	b := newBelief(0, aloneScript(), from.holds)
	hearAll(t, b, lines)
	for code := range b.codes {
		if code != want.must && !slices.Contains(want.may, code) {
			t.Errorf("%s at %v: a change got %s\n%s", errno, p, code, said)
		}
	}
	if want.must != "" && b.codes[want.must] == 0 {
		t.Errorf("%s at %v: no change got %s\n%s", errno, p, want.must, said)
	}
	for _, line := range lines {
		if words := strings.Fields(line); words[0] == "open" && len(words) > 1 {
			total["open refused"]++
			if code := protocol.Code(words[1]); code != protocol.CodeIO && (code != protocol.CodeFull || errno != "ENOSPC" && errno != "EDQUOT") {
				t.Errorf("%s at %v: %s", errno, p, line)
			}
		}
	}
	if n := b.codes[protocol.CodeUnknown]; n > calls {
		t.Errorf("%s at %v: %d calls failed, and %d changes are in doubt\n%s", errno, p, calls, n, said)
	}
	for code, n := range b.codes {
		total[string(code.Outcome())] += n
	}
	total["applied"] += b.answered
	if err := look(guarded(t), db, b); err != nil {
		t.Errorf("%s at %v: %v\n%s", errno, p, err, said)
	}
}
