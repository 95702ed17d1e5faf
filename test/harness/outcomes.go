package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
)

// overdue is how long after its deadline a caller may still wait: ten times what a busy machine needs.
const overdue = 5 * time.Second

// Outcomes counts what became of changes. Each has to end in one of four ways that its error's code tells: applied,
// not applied, conflict, unknown; and none may wait past its deadline.
type Outcomes struct {
	mu    sync.Mutex
	codes map[protocol.Code]int
	late  time.Duration // the longest that anyone waited past a deadline
}

// Note counts a change that has just ended, with the context that it was given.
func (o *Outcomes) Note(ctx context.Context, tb testing.TB, err error) {
	tb.Helper()
	late := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		late = time.Since(deadline)
	}
	if late > overdue {
		tb.Errorf("a caller waited %v past its deadline, to be told %v", late, err)
	}
	var e *protocol.Error
	if code := protocol.CodeOf(err); err != nil && (!errors.As(err, &e) || code == protocol.CodeInternal) {
		tb.Errorf("this error does not tell what became of the change: %v", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.codes == nil {
		o.codes = map[protocol.Code]int{}
	}
	o.codes[protocol.CodeOf(err)]++
	o.late = max(o.late, late)
}

// Count tells how often a code was the answer; the empty one means applied.
func (o *Outcomes) Count(code protocol.Code) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.codes[code]
}

// String gives the counts, and the longest wait past a deadline.
func (o *Outcomes) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	sums := map[protocol.Outcome]int{}
	var refusals []string
	for _, code := range slices.Sorted(maps.Keys(o.codes)) {
		if code == "" {
			continue
		}
		sums[code.Outcome()] += o.codes[code]
		if code.Outcome() == protocol.OutcomeNotApplied {
			refusals = append(refusals, fmt.Sprintf("%s %d", code, o.codes[code]))
		}
	}
	return fmt.Sprintf("%d applied, %d conflicts, %d not applied (%s), %d unknown; longest wait past a deadline %v",
		o.codes[""], sums[protocol.OutcomeConflict], sums[protocol.OutcomeNotApplied], strings.Join(refusals, ", "),
		sums[protocol.OutcomeUnknown], o.late.Round(time.Millisecond))
}
