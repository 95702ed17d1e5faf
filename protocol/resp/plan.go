package resp

import (
	"github.com/stated/stated/protocol"
)

// plan is what a command on agents wants: operations, and how to word their replies. The same plan serves a
// command that stands alone and one that is queued in MULTI.
type plan struct {
	ops []protocol.Op
	txn bool // a transaction even if it is of one operation
	// Either words the replies: one that of the only operation, render those of all.
	one    func(o *output, r protocol.Reply)
	render func(o *output, replies []protocol.Reply)
	// failed, if set, words an error.
	failed func(o *output, err error)

	// A plan of one operation, as most are, is one piece of memory with it and its reply.
	firstOp    [1]protocol.Op
	firstReply [1]protocol.Reply
}

// planOne is a plan of one operation, as its constructor gave it.
func planOne(op protocol.Op, err error, render func(o *output, r protocol.Reply)) (*plan, error) {
	if err != nil {
		return nil, err
	}
	p := &plan{one: render, firstOp: [1]protocol.Op{op}}
	p.ops = p.firstOp[:]
	return p, nil
}

// word writes what the replies are on the wire.
func (p *plan) word(o *output, replies []protocol.Reply) {
	if p.one != nil {
		p.one(o, replies[0])
		return
	}
	p.render(o, replies)
}

// op is the operation to submit.
func (p *plan) op() (protocol.Op, error) {
	switch {
	case p.txn:
		return protocol.Txn(p.ops...)
	case len(p.ops) > 1:
		return protocol.Bulk(p.ops...)
	default:
		return p.ops[0], nil
	}
}

// replies gives one reply for each operation, whether or not it was a transaction. To find nothing, or to skip,
// is no error here, as it is none in a transaction.
func (p *plan) replies(r protocol.Reply) ([]protocol.Reply, error) {
	if !p.txn && len(p.ops) == 1 {
		switch code := protocol.CodeOf(r.Err); {
		case code == protocol.CodeNotFound:
			r = protocol.Reply{}
		case code == protocol.CodeConflict && p.ops[0].Skip():
			r = protocol.Reply{Skipped: true}
		case r.Err != nil:
			return nil, r.Err
		case p.ops[0].Kind() == protocol.KindLoad, p.ops[0].Kind() == protocol.KindStat:
			r.Found = true
		}
		p.firstReply[0] = r
		return p.firstReply[:], nil
	}
	if r.Err == nil && len(r.Replies) != len(p.ops) {
		return nil, protocol.Errorf(protocol.CodeInternal, "%d operations got %d replies", len(p.ops), len(r.Replies))
	}
	return r.Replies, r.Err
}

func (p *plan) fail(o *output, err error) {
	if p.failed != nil {
		p.failed(o, err)
		return
	}
	o.fail(err)
}

func (p *plan) writes() bool {
	for i := range p.ops {
		if p.ops[i].Writes() {
			return true
		}
	}
	return false
}

// onlyWrites reports whether the plan can be started before the writes in front of it are answered. One that
// also loads cannot, since many such replies waiting at once would take too much memory.
func (p *plan) onlyWrites() bool {
	for i := range p.ops {
		if p.ops[i].Kind() == protocol.KindLoad {
			return false
		}
	}
	return p.writes()
}

func (p *plan) check(stateBytes int) error {
	for i := range p.ops {
		if err := p.ops[i].CheckStateBytes(stateBytes); err != nil {
			return err
		}
	}
	return nil
}

const entryOverhead = 64 // bytes of a listed agent on the wire, beyond its id

// replyBytes is about how long replies are on the wire.
func replyBytes(replies []protocol.Reply) (n int) {
	for i := range replies {
		n += len(replies[i].State)
		for _, e := range replies[i].Entries {
			n += len(e.ID) + entryOverhead
		}
	}
	return n
}
