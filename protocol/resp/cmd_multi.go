package resp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// transaction is what a connection has queued since MULTI, and what it watches.
type transaction struct {
	open    bool
	aborted bool // a command was refused; EXEC will do nothing
	plans   []*plan
	ops     int   // of all plans
	bytes   int   // reserved bytes that the queued commands hold
	highest *spec // the queued command that needs the highest role
	watched []watch
}

func multiCommands() []spec {
	const family, read = "transactions", auth.RoleRead
	return []spec{
		{
			name: "multi", arity: 1, flags: flagFast | flagControl | flagInstant, role: read, family: family, handle: multi,
			summary: "Starts a transaction: the commands that follow are queued.", reply: "OK",
		},
		{
			name: "exec", arity: 1, flags: flagControl | flagOrdered, role: read, family: family, handle: exec,
			summary: "Performs the queued commands, all or none.", complexity: "that of the queued commands",
			reply: "an array with the reply of each command, or nil if a watched agent has changed", errors: "EXECABORT, CONFLICT, and those of the queued commands",
		},
		{
			name: "discard", arity: 1, flags: flagFast | flagControl | flagInstant, role: read, family: family, handle: discard,
			summary: "Forgets the queued commands, and the watched agents.", complexity: "O(N) where N is the number of queued commands", reply: "OK",
		},
		{
			name: "watch", arity: -2, flags: flagRead | flagFast | flagControl, role: read, family: family, keys: [3]int{1, -1, 1}, handle: watchAgents,
			args: "id [id ...]", summary: "Makes the next EXEC depend on agents staying unchanged.",
			complexity: "O(N) where N is the number of agents", reply: "OK",
		},
		{
			name: "unwatch", arity: 1, flags: flagFast | flagInstant, role: read, family: family, handle: unwatch,
			summary: "Forgets the watched agents.", reply: "OK",
		},
	}
}

func multi(x *executor, _ [][]byte) {
	if x.tx.open {
		x.reject(redisError("ERR MULTI calls can not be nested"))
		return
	}
	x.tx.open = true
	x.noteTransaction()
	x.out.ok()
}

// queue adds a command to the transaction, or refuses it.
func (x *executor) queue(s *spec, cmd *command) {
	p, err := x.planQueued(s, cmd)
	if err != nil {
		x.refuse(s, err)
	}
	if x.tx.aborted {
		x.dropQueue() // what will not be performed need not be kept
		x.c.account.give(cmd.size)
	} else {
		x.tx.plans = append(x.tx.plans, p)
		x.tx.ops += len(p.ops)
		x.tx.bytes += cmd.size
		if x.tx.highest == nil || s.role > x.tx.highest.role {
			x.tx.highest = s
		}
		x.noteTransaction()
	}
	if err == nil {
		x.out.simple("QUEUED")
	}
}

func (x *executor) planQueued(s *spec, cmd *command) (*plan, error) {
	if s.flags&flagMulti == 0 {
		return nil, redisError("ERR Command not allowed inside a transaction")
	}
	p, err := s.plan(cmd.args, true)
	if err != nil {
		return nil, err
	}
	if err := p.check(x.c.srv.opts.StateBytes); err != nil {
		return nil, err
	}
	if x.tx.ops+len(p.ops) > protocol.MaxTxnOps {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the transaction has more than %d operations", protocol.MaxTxnOps)
	}
	if most := x.c.srv.opts.RequestBytes; x.tx.bytes+cmd.size > most {
		return nil, protocol.Errorf(protocol.CodeInvalid,
			"the transaction has more than %d bytes (limits.request_bytes)", most).With(protocol.FactTooLarge, "1")
	}
	return p, nil
}

// refuse answers an error to a command that cannot be performed, nor queued. An EXEC ends the transaction even so: whoever
// sent it goes on with the next one.
func (x *executor) refuse(s *spec, err error) {
	switch {
	case !x.tx.open:
	case s != nil && s.name == "exec":
		x.leaveMulti()
		err = redisError("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(errorLine(err), "ERR "))
	default:
		x.tx.aborted = true
	}
	x.reject(err)
}

// dropQueue forgets the queued commands and returns their bytes.
func (x *executor) dropQueue() {
	x.c.account.give(x.tx.bytes)
	x.tx.plans, x.tx.ops, x.tx.bytes = nil, 0, 0
	x.noteTransaction()
}

// leaveMulti ends the transaction and the watches.
func (x *executor) leaveMulti() {
	x.dropQueue()
	x.tx = transaction{}
	x.noteTransaction()
}

func (x *executor) noteTransaction() {
	x.c.hurry(func(p *patience) { p.multi = x.tx.bytes > readBuffer })
	x.c.about.update(func(a *about) {
		a.watched = len(x.tx.watched)
		a.queued = -1
		if x.tx.open {
			a.queued = len(x.tx.plans)
		}
	})
}

func discard(x *executor, _ [][]byte) {
	if !x.tx.open {
		x.reject(redisError("ERR DISCARD without MULTI"))
		return
	}
	x.leaveMulti()
	x.out.ok()
}

func exec(x *executor, _ [][]byte) {
	tx := x.tx
	switch {
	case !tx.open:
		x.instantly(func() { x.reject(redisError("ERR EXEC without MULTI")) })
		return
	case tx.aborted:
		x.leaveMulti()
		x.instantly(func() { x.reject(errExecAbort) })
		return
	case tx.highest != nil && !x.grant.Allows(tx.highest.role): // it was allowed when it was queued
		x.leaveMulti()
		x.instantly(func() { x.reject(errNoPerm(x.grant.Name, tx.highest.name)) })
		return
	}
	x.tx.bytes = 0 // the plan holds them from here on
	x.leaveMulti()
	p, err := tx.plan()
	switch {
	case err != nil:
		x.c.account.give(tx.bytes)
		x.instantly(func() { x.reject(err) })
	case len(p.ops) == 0:
		x.c.account.give(tx.bytes)
		x.instantly(func() { x.out.array(0) })
	default:
		x.submit(p, tx.bytes)
	}
}

// plan makes one plan of the queued ones, behind a check of each watched agent.
func (tx *transaction) plan() (*plan, error) {
	checks := len(tx.watched)
	if checks+tx.ops > protocol.MaxTxnOps {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%d watched agents and %d operations are more than %d",
			checks, tx.ops, protocol.MaxTxnOps)
	}
	all := &plan{txn: true, ops: make([]protocol.Op, 0, checks+tx.ops)}
	for _, w := range tx.watched {
		cond := protocol.IfAbsent()
		if w.revision != 0 {
			cond = protocol.IfRevision(w.revision)
		}
		op, err := protocol.Check(w.id, cond)
		if err != nil {
			return nil, err
		}
		all.ops = append(all.ops, op)
	}
	for _, p := range tx.plans {
		all.ops = append(all.ops, p.ops...)
	}
	plans := tx.plans
	all.render = func(o *output, replies []protocol.Reply) {
		o.array(len(plans))
		replies = replies[checks:]
		for _, p := range plans {
			p.word(o, replies[:len(p.ops)])
			replies = replies[len(p.ops):]
		}
	}
	all.failed = func(o *output, err error) { failExec(o, err, checks, plans) }
	return all, nil
}

// failExec words the failure of a transaction: nil if a watched agent changed; else the error, with the index of
// the queued command instead of that of the operation, or with none if it is about a watched agent.
func failExec(o *output, err error, checks int, plans []*plan) {
	index, ok := protocol.ConflictIndex(err)
	switch {
	case !ok:
		o.fail(err)
		return
	case index < checks && protocol.CodeOf(err) == protocol.CodeConflict:
		o.nullArray()
		return
	}
	e := *protocol.AsError(err)
	e.Facts = slices.Clone(e.Facts)
	at := slices.IndexFunc(e.Facts, func(f protocol.Fact) bool { return f.Key == protocol.FactIndex })
	if index < checks {
		e.Facts = slices.Delete(e.Facts, at, at+1)
	} else {
		e.Facts[at].Value = strconv.Itoa(commandOf(index-checks, plans))
	}
	o.fail(&e)
}

// commandOf tells which of the plans an operation belongs to.
func commandOf(op int, plans []*plan) int {
	for i, p := range plans {
		if op -= len(p.ops); op < 0 {
			return i
		}
	}
	return len(plans)
}
