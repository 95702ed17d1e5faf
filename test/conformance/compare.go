package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stated/stated/protocol"
)

// Compare performs n random operations on each of the handlers, which lead to empty stores, and on a map. All have to
// answer the same, times left out.
func Compare(t *testing.T, seed uint64, n int, handlers map[string]protocol.Handler) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*guard)
	defer cancel()
	g := generator{rand.New(rand.NewPCG(seed, 0)), &model{agents: map[string]agent{}}}
	for i := range n {
		op := g.op()
		want := answerOf(g.model.perform(&op), &op)
		for name, h := range handlers {
			reply, _ := protocol.Do(ctx, h, op)
			if diff := cmp.Diff(want, answerOf(reply, &op), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d, operation %d, %s: (-map +%s)\n%s", seed, i, describe(&op), name, diff)
			}
		}
	}
}

// answer is what has to be the same of a reply.
type answer struct {
	Reply protocol.Reply
	Code  protocol.Code
	Facts []protocol.Fact
}

func answerOf(r protocol.Reply, op *protocol.Op) answer {
	a := answer{Reply: r, Code: protocol.CodeOf(r.Err)}
	var e *protocol.Error
	if errors.As(r.Err, &e) {
		a.Facts = sorted(e.Facts)
	}
	a.Reply.Err, a.Reply.UpdatedAt = nil, time.Time{}
	a.Reply.Entries = append([]protocol.Entry(nil), r.Entries...)
	for i := range a.Reply.Entries {
		a.Reply.Entries[i].UpdatedAt = time.Time{}
	}
	a.Reply.Replies = append([]protocol.Reply(nil), r.Replies...)
	for i := range a.Reply.Replies {
		a.Reply.Replies[i].UpdatedAt = time.Time{}
		if op.Ops()[i].Kind() == protocol.KindCheck { // nobody says more than that it held
			a.Reply.Replies[i].Found, a.Reply.Replies[i].Revision = false, 0
		}
	}
	return a
}

func describe(op *protocol.Op) string {
	text := fmt.Sprintf("%s %q (%s)", op.Kind(), op.ID(), op.Condition())
	for i := range op.Ops() {
		text += "; " + describe(&op.Ops()[i])
	}
	return text
}

// generator makes operations that often have to do with one another: few agents, and revisions that exist.
type generator struct {
	*rand.Rand
	model *model
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) op() protocol.Op {
	switch n := g.IntN(100); {
	case n < 60:
		return g.onAgent(false)
	case n < 80:
		ops := make([]protocol.Op, 1+g.IntN(6))
		for i := range ops {
			ops[i] = g.onAgent(true)
		}
		return must(protocol.Txn(ops...))
	case n < 92:
		return must(protocol.List(g.part(), g.part(), pick(g, 0, 1, 2, 3, 5, protocol.MaxListLimit)))
	case n < 98:
		return must(protocol.Count(g.part()))
	default:
		return protocol.Clear()
	}
}

func (g generator) onAgent(inTxn bool) protocol.Op {
	id := g.id()
	switch n := g.IntN(100); {
	case n < 45:
		return saveIf(id, pick(g, oddStates...), g.condition(id))
	case n < 60:
		cond := g.condition(id)
		if cond.Absent() {
			cond = protocol.IfExists()
		}
		return must(protocol.Delete(id, cond))
	case n < 75 && inTxn:
		cond := g.condition(id)
		if cond.None() {
			cond = protocol.IfExists()
		}
		return checkOp(id, cond)
	case n < 80:
		return statOp(id)
	default:
		return loadOp(id)
	}
}

// condition mostly holds, so that transactions of several mostly do something.
func (g generator) condition(id string) protocol.Condition {
	now := g.model.agents[id].revision
	switch n := g.IntN(100); {
	case n < 50:
		return protocol.Condition{}
	case n < 80 && now != 0:
		return pick(g, protocol.IfExists(), protocol.IfRevision(now))
	case n < 80:
		return protocol.IfAbsent()
	default:
		return pick(g, protocol.IfAbsent(), protocol.IfExists(), protocol.IfRevision(1+g.Int64N(g.model.revision+2)))
	}
}

// few is so that operations meet.
const few = 25

func (g generator) id() string { return oddIDs[g.IntN(few)*len(oddIDs)/few] }

// part is a prefix, or where a list begins: none, an agent's id, or the beginning of one.
func (g generator) part() string {
	switch id := []rune(g.id()); g.IntN(3) {
	case 0:
		return ""
	case 1:
		return string(id)
	default:
		return string(id[:1+g.IntN(min(len(id), 3))])
	}
}
