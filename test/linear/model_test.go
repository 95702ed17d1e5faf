package linear

import (
	"fmt"
	"math"

	"github.com/anishathalye/porcupine"

	"github.com/stated/stated/protocol"
)

// agents is how many agents a history is about. Few, so that the clients meet; and the checker holds all of them, since
// transactions touch several and revisions are the whole store's.
const agents = 4

// agentID names an agent of the history.
func agentID(i int) string { return fmt.Sprintf("agent-%d", i) }

func agentIndex(id string) int { return int(id[len(id)-1] - '0') }

// record is what the model knows of one agent. The revision is within bounds, since a change whose reply was lost has
// one that nobody was told; the zero record is an agent that does not exist.
type record struct {
	state     string
	low, high int64
}

func (r *record) exists() bool { return r.low > 0 }

// system is what the model knows of the store: its agents, and a revision that the next change must exceed. That
// makes revisions agree with the order of the changes, and keeps any from being used twice.
type system struct {
	counter int64
	agents  [agents]record
	seen    *sightings // the same in all systems of one history
}

// sightings are the revisions with which loads have found states. No state is saved twice, so they tell of a save whose
// reply was lost that it was applied, and when: without that the checker would have to try every order of such saves.
type sightings struct{ revisions map[string]int64 }

// result is how an operation ended.
type result struct {
	reply   protocol.Reply
	err     error
	unknown bool // it may or may not have been applied, between its call and the end of who performed it
}

// sequential is the store without concurrency, for the checker: what each operation may do to it, given its result.
func sequential(seen *sightings) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{system{seen: seen}} },
		Step: func(before, input, output any) []any {
			var after []any
			for _, s := range step(before.(system), input.(*protocol.Op), output.(result)) {
				after = append(after, s)
			}
			return after
		},
		DescribeOperation: func(input, output any) string {
			return describe(input.(*protocol.Op)) + " → " + output.(result).String()
		},
		DescribeState: func(s any) string { return s.(system).String() },
	}
	return model.ToModel()
}

// step gives what the store may be after an operation with this result; nothing when it cannot have ended so.
func step(s system, op *protocol.Op, r result) []system {
	after := s
	switch code := protocol.CodeOf(r.err); {
	case r.unknown && s.seen.ofAny(op):
		if after.perform(op, nil) {
			return []system{after}
		}
	case r.unknown:
		if after.perform(op, nil) && after != s {
			return []system{s, after}
		}
		return []system{s}
	case code == protocol.CodeConflict:
		if s.conflict(op, r.err) {
			return []system{s}
		}
	case code == "", code == protocol.CodeNotFound:
		if after.perform(op, &r.reply) {
			return []system{after}
		}
	}
	return nil
}

// ofAny reports whether a state that the operation saves was found by anybody.
func (s *sightings) ofAny(op *protocol.Op) bool {
	for i := range op.Ops() {
		if s.ofAny(&op.Ops()[i]) {
			return true
		}
	}
	return s.revisions[string(op.State())] > 0
}

// note remembers what a reply to a load tells.
func (s *sightings) note(op *protocol.Op, reply *protocol.Reply) {
	for i := range reply.Replies {
		s.note(&op.Ops()[i], &reply.Replies[i])
	}
	if op.Kind() == protocol.KindLoad && reply.Found {
		s.revisions[string(reply.State)] = reply.Revision
	}
}

// perform does an operation, and reports whether it may have had this reply; nil is a reply that nobody got. The
// system is of no use when it may not.
func (s *system) perform(op *protocol.Op, reply *protocol.Reply) bool {
	if op.Kind() == protocol.KindTxn {
		return s.performAll(op.Ops(), reply)
	}
	r := &s.agents[agentIndex(op.ID())]
	if !s.holds(r, op.Condition()) {
		return false
	}
	switch op.Kind() {
	case protocol.KindSave:
		if reply != nil && reply.Found != r.exists() {
			return false
		}
		low, high, ok := s.next(op, reply)
		*r = record{string(op.State()), low, high}
		return ok
	case protocol.KindDelete:
		if reply != nil && reply.Found != r.exists() {
			return false
		}
		if !r.exists() {
			return reply == nil || reply.Revision == 0
		}
		*r = record{}
		_, _, ok := s.next(op, reply)
		return ok
	case protocol.KindLoad:
		if reply == nil || !reply.Found {
			return reply == nil || !r.exists()
		}
		return string(reply.State) == r.state && s.holds(r, protocol.IfRevision(reply.Revision))
	default: // a check is its condition
		return op.Kind() == protocol.KindCheck
	}
}

func (s *system) performAll(ops []protocol.Op, reply *protocol.Reply) bool {
	if reply != nil && len(reply.Replies) != len(ops) {
		return false
	}
	for i := range ops {
		var one *protocol.Reply
		if reply != nil {
			one = &reply.Replies[i]
		}
		if !s.perform(&ops[i], one) {
			return false
		}
	}
	return true
}

// next gives the revision of a change, which must be above every earlier one.
func (s *system) next(op *protocol.Op, reply *protocol.Reply) (low, high int64, ok bool) {
	revision := s.seen.revisions[string(op.State())]
	if reply != nil {
		revision = reply.Revision
	}
	switch {
	case reply == nil && revision == 0: // nobody knows
		s.counter++
		return s.counter, math.MaxInt64, true
	case revision <= s.counter:
		return 0, 0, false
	}
	s.counter = revision
	for i := range s.agents {
		s.agents[i].high = min(s.agents[i].high, s.counter-1)
	}
	return s.counter, s.counter, true
}

// holds reports whether a condition may hold for an agent, and learns its revision when there is only one that fits.
func (s *system) holds(r *record, cond protocol.Condition) bool {
	revision, exact := cond.Revision()
	if !exact {
		return cond.None() || cond.Exists() == r.exists()
	}
	if !r.exists() || revision < r.low || revision > r.high {
		return false
	}
	r.low, r.high = revision, revision
	s.counter = max(s.counter, revision)
	return true
}

// conflict reports whether an operation may have found a condition that does not hold, and the revision that it tells.
// What came before it in a transaction was done, and then undone.
func (s *system) conflict(op *protocol.Op, err error) bool {
	at := *s
	if op.Kind() == protocol.KindTxn {
		i, ok := protocol.ConflictIndex(err)
		if !ok || i < 0 || i >= len(op.Ops()) || !at.performAll(op.Ops()[:i], nil) {
			return false
		}
		op = &op.Ops()[i]
	}
	current, ok := protocol.CurrentRevision(err)
	if !ok || op.Condition().Holds(current) {
		return false
	}
	found := protocol.IfRevision(current)
	if current == 0 {
		found = protocol.IfAbsent()
	}
	return at.holds(&at.agents[agentIndex(op.ID())], found)
}
