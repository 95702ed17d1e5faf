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
// EINTR is repeated, but for an fsync. What fails in opening the file, or in tidying up, is no change's.
func promised(p point, errno string) verdict {
	notApplied := []protocol.Code{protocol.CodeIO}
	if errno == "ENOSPC" {
		notApplied = append(notApplied, protocol.CodeFull)
	}
	if p.phase != changing {
		return verdict{}
	}
	switch {
	case p.file != "-wal":
		return verdict{"", notApplied}
	case p.call == "fsync":
		return verdict{protocol.CodeUnknown, notApplied}
	case errno == "EINTR":
		return verdict{}
	case errno == "ENOSPC":
		return verdict{protocol.CodeFull, nil}
	default:
		return verdict{protocol.CodeUnknown, notApplied}
	}
}

// TestErrno has single calls fail. The caller has to be told what is true, nobody may hang, the program has to go on by
// itself, and the next program that opens the file has to find what was acknowledged, and nothing that was refused.
func TestErrno(t *testing.T) {
	for name, from := range starts() {
		var inChanges, others []point
		for _, p := range points(t, from) {
			switch {
			case p.phase != changing:
				others = append(others, p)
			case from.holds == nil: // with an adopted file they are the same
				inChanges = append(inChanges, p)
			}
		}
		for _, errno := range []string{"EIO", "ENOSPC", "EINTR", "EDQUOT", "ENOMEM"} {
			t.Run(name+"/"+errno, func(t *testing.T) {
				total := map[string]int{}
				chosen := append(choose(inChanges, 16), choose(others, 14)...)
				for _, p := range chosen {
					failAt(t, from, p, errno, total)
				}
				t.Logf("%d calls failed; outcomes: %v", len(chosen), total)
			})
		}
	}
}

func failAt(t *testing.T, from start, p point, errno string, total map[string]int) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	from.prepare(t, db)
	args := append([]string{fast}, p.inject(db, "error="+errno)...)
	lines, trace := strace{args: args}.run(t, db)
	if !slices.ContainsFunc(trace.Calls, func(c *Call) bool { return c.Injected }) {
		t.Errorf("%v was not called", p)
	}
	b := newBelief(0, aloneScript(), from.holds)
	hearAll(t, b, lines)
	want := promised(p, errno)
	for code := range b.codes {
		if code != want.must && !slices.Contains(want.may, code) {
			t.Errorf("%s at %v: a change got %s\n%s", errno, p, code, strings.Join(lines, "\n"))
		}
	}
	if want.must != "" && b.codes[want.must] == 0 {
		t.Errorf("%s at %v: no change got %s\n%s", errno, p, want.must, strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		if words := strings.Fields(line); words[0] == "open" && len(words) > 1 {
			total["open refused"]++
			if code := protocol.Code(words[1]); code != protocol.CodeIO && (code != protocol.CodeFull || errno != "ENOSPC") {
				t.Errorf("%s at %v: %s", errno, p, line)
			}
		}
	}
	if n := b.codes[protocol.CodeUnknown]; n > 1 {
		t.Errorf("%s at %v: one call failed, and %d changes are in doubt", errno, p, n)
	}
	for code, n := range b.codes {
		total[string(code.Outcome())] += n
	}
	total["applied"] += b.answered
	if err := look(guarded(t), db, b); err != nil {
		t.Errorf("%s at %v: %v\n%s", errno, p, err, strings.Join(lines, "\n"))
	}
}
