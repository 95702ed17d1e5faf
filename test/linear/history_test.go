package linear

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// patient is how long the checker may take for one history. It is a guard: a second is much.
const patient = 2 * time.Minute

// history is what clients asked for and were told, with the times.
type history struct {
	base     time.Time
	outcomes harness.Outcomes

	mu  sync.Mutex
	ops []porcupine.Operation
}

func newHistory() *history { return &history{base: time.Now()} }

func (h *history) now() int64 { return time.Since(h.base).Nanoseconds() }

// do performs an operation and writes it down. What was not applied, by its error, has to be without effect, and so is
// left out: should it have had one, nothing in the history explains it.
func (h *history) do(ctx context.Context, t *testing.T, client int, to protocol.Handler, op *protocol.Op) (protocol.Reply, error) {
	t.Helper()
	one := porcupine.Operation{ClientId: client, Input: op, Call: h.now()}
	reply, err := protocol.Do(ctx, to, *op)
	one.Return = h.now()
	if op.Writes() {
		h.outcomes.Note(ctx, t, err)
	}
	r := result{reply: reply, err: err}
	switch code := protocol.CodeOf(err); code {
	case "", protocol.CodeConflict, protocol.CodeNotFound:
	case protocol.CodeUnknown:
		r.unknown, one.Return = true, -1 // until settle
	case protocol.CodeLocked, protocol.CodeOverloaded, protocol.CodeCanceled, protocol.CodeUnavailable:
		return reply, err
	default:
		t.Errorf("client %d: %s says %v", client, describe(op), err)
		return reply, err
	}
	one.Output = r
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, one)
	return reply, err
}

// settle is called when those who performed the operations so far are gone: until now, and no longer, what has an
// unknown outcome may have been applied.
func (h *history) settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ops {
		if h.ops[i].Return < 0 {
			h.ops[i].Return = h.now()
		}
	}
}

func (h *history) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// model is the model for this history.
func (h *history) model() porcupine.Model {
	seen := &sightings{map[string]int64{}}
	for _, o := range h.ops {
		if r := o.Output.(result); r.err == nil {
			seen.note(o.Input.(*protocol.Op), &r.reply)
		}
	}
	return sequential(seen)
}

func (h *history) check(patience time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(h.model(), h.ops, patience)
}

// verify has porcupine look for an order of the operations, one after the other, that explains every reply. It returns
// an error with the whole history if there is none, and also if none was found in time.
func (h *history) verify(patience time.Duration) error {
	checked, info := h.check(patience)
	switch checked {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("the checker did not end within %v: the history has too much at the same time, make it smaller\n%s",
			patience, h.lines(h.ops))
	}
	return fmt.Errorf("no order of these operations explains all replies; an order of some of them ends before\n%s"+
		"%s\nThe history:\n%s", h.lines(h.unexplained(info)), h.picture(info), h.lines(h.ops))
}

// unexplained gives the first operations that are not in the longest order that was found.
func (h *history) unexplained(info porcupine.LinearizationInfo) []porcupine.Operation {
	explained := map[porcupine.Operation]bool{}
	for _, partition := range info.PartialLinearizationsOperations() {
		var longest []porcupine.Operation
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
		for _, o := range longest {
			explained[keyOf(o)] = true
		}
	}
	var rest []porcupine.Operation
	for _, o := range h.ops {
		if !explained[keyOf(o)] {
			rest = append(rest, o)
		}
	}
	slices.SortFunc(rest, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
	return rest[:min(len(rest), 8)]
}

// keyOf tells operations apart: each has an Op of its own.
func keyOf(o porcupine.Operation) porcupine.Operation { return porcupine.Operation{Input: o.Input} }

// picture writes porcupine's page, which shows the history and how far each order gets. It is left where it is: a
// folder of the test would be gone when somebody wants to look.
func (h *history) picture(info porcupine.LinearizationInfo) string {
	f, err := os.CreateTemp("", "stated-history-*.html")
	if err == nil {
		err = errors.Join(porcupine.Visualize(h.model(), info, f), f.Close())
	}
	if err != nil {
		return "there is no picture: " + err.Error()
	}
	return "To be seen with a browser: " + f.Name()
}

// lines gives operations for people, in the order of their calls.
func (h *history) lines(ops []porcupine.Operation) string {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range ops {
		fmt.Fprintf(&b, "  client %d  %v to %v  %s → %v\n", o.ClientId, milliseconds(o.Call), milliseconds(o.Return),
			describe(o.Input.(*protocol.Op)), o.Output)
	}
	return b.String()
}

func milliseconds(ns int64) string { return fmt.Sprintf("%.3fms", float64(ns)/1e6) }
