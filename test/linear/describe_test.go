package linear

import (
	"fmt"
	"math"
	"strings"

	"github.com/stated/stated/protocol"
)

// describe gives an operation as people say it.
func describe(op *protocol.Op) string {
	if op.Kind() == protocol.KindTxn {
		all := make([]string, len(op.Ops()))
		for i := range op.Ops() {
			all[i] = describe(&op.Ops()[i])
		}
		return "txn[" + strings.Join(all, "; ") + "]"
	}
	text := op.Kind().String() + " " + op.ID()
	if op.Kind() == protocol.KindSave {
		text += " " + string(op.State())
	}
	if !op.Condition().None() {
		text += " if " + op.Condition().String()
	}
	return text
}

// String gives a result as people say it.
func (r result) String() string {
	if r.unknown {
		return fmt.Sprintf("unknown (%s)", protocol.CodeOf(r.err))
	}
	if r.err != nil {
		return r.err.Error()
	}
	return describeReply(&r.reply)
}

func describeReply(r *protocol.Reply) string {
	switch {
	case len(r.Replies) > 0:
		all := make([]string, len(r.Replies))
		for i := range r.Replies {
			all[i] = describeReply(&r.Replies[i])
		}
		return "[" + strings.Join(all, "; ") + "]"
	case r.State != nil:
		return fmt.Sprintf("%s of revision %d", r.State, r.Revision)
	case r.Revision > 0 && r.Found:
		return fmt.Sprintf("revision %d", r.Revision)
	case r.Revision > 0:
		return fmt.Sprintf("revision %d, new", r.Revision)
	case r.Found:
		return "there"
	default:
		return "ok"
	}
}

// String gives what the model knows.
func (s system) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "counter %d", s.counter)
	for i, r := range s.agents {
		switch {
		case !r.exists():
			fmt.Fprintf(&b, ", %s absent", agentID(i))
		case r.low == r.high:
			fmt.Fprintf(&b, ", %s = %s of revision %d", agentID(i), r.state, r.low)
		case r.high == math.MaxInt64:
			fmt.Fprintf(&b, ", %s = %s of revision %d or more", agentID(i), r.state, r.low)
		default:
			fmt.Fprintf(&b, ", %s = %s of a revision from %d to %d", agentID(i), r.state, r.low, r.high)
		}
	}
	return b.String()
}
