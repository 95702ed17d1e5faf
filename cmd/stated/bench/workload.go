package bench

import (
	"errors"
	"time"

	"github.com/stated/stated/protocol"
)

// round sends these requests together, and waits for their answers.
func (c *client) round(all []exchange) {
	if c.o.Workload == Mixed {
		c.update(all)
		return
	}
	for i := range all {
		c.send(&all[i])
	}
	for i := range all {
		c.wait(&all[i])
		if c.o.Workload == Load {
			all[i].bytes = int64(len(all[i].reply.State))
		}
		c.note(&all[i])
	}
}

// send starts one request. Its time begins when the caller has the states in hand: to validate them is part of a save.
func (c *client) send(e *exchange) {
	var op protocol.Op
	var err error
	switch *e = (exchange{ops: 1}); c.o.Workload {
	case Load:
		id := c.draw.id()
		e.begun = time.Now()
		op, err = protocol.Load(id)
	case Txn:
		op, err = c.transaction(e)
	default:
		op, err = c.save(e, c.draw.id(), protocol.Condition{})
	}
	must(err)
	c.start(e, op)
}

func (c *client) save(e *exchange, id string, cond protocol.Condition) (protocol.Op, error) {
	state := c.draw.state()
	if e.begun.IsZero() {
		e.begun = time.Now()
	}
	e.bytes += int64(len(state))
	return protocol.Save(id, state, cond)
}

func (c *client) transaction(e *exchange) (protocol.Op, error) {
	ops, states := make([]protocol.Op, c.o.Ops), make([][]byte, c.o.Ops)
	for i := range states {
		states[i] = c.draw.state()
		e.bytes += int64(len(states[i]))
	}
	e.begun = time.Now()
	for i := range ops {
		var err error
		if ops[i], err = protocol.Save(c.draw.id(), states[i], protocol.Condition{}); err != nil {
			return protocol.Op{}, err
		}
	}
	e.ops = int64(len(ops))
	return protocol.Txn(ops...)
}

// update loads agents and saves them on condition that nobody else has saved them meanwhile. Those that somebody has are
// loaded again, as users do, until they are saved.
func (c *client) update(all []exchange) {
	pending := make([]*exchange, len(all))
	for i := range all {
		all[i] = exchange{id: c.draw.id(), begun: time.Now()}
		pending[i] = &all[i]
	}
	for len(pending) > 0 {
		pending = c.saveAll(c.loadAll(pending))
	}
}

// loadAll gives those that can be saved now. An agent that does not exist is one to be created.
func (c *client) loadAll(pending []*exchange) []*exchange {
	for _, e := range pending {
		op, err := protocol.Load(e.id)
		must(err)
		c.start(e, op)
	}
	loaded := pending[:0]
	for _, e := range pending {
		c.wait(e)
		if err := e.reply.Err; err != nil && !errors.Is(err, protocol.CodeNotFound) {
			c.note(e)
			continue
		}
		e.ops++
		e.bytes += int64(len(e.reply.State))
		loaded = append(loaded, e)
	}
	return loaded
}

// saveAll gives those that somebody else has saved meanwhile.
func (c *client) saveAll(loaded []*exchange) []*exchange {
	for _, e := range loaded {
		cond := protocol.IfAbsent()
		if e.reply.Err == nil {
			cond = protocol.IfRevision(e.reply.Revision)
		}
		op, err := c.save(e, e.id, cond)
		must(err)
		c.start(e, op)
	}
	again := loaded[:0]
	for _, e := range loaded {
		c.wait(e)
		if errors.Is(e.reply.Err, protocol.CodeConflict) {
			c.conflicts++
			e.bytes -= int64(len(e.request.Op().State())) // it was not written
			again = append(again, e)
			continue
		}
		e.ops++
		c.note(e)
	}
	return again
}

// must holds what this package made to be valid.
func must(err error) {
	if err != nil {
		panic("bench: a request of ours is not valid: " + err.Error())
	}
}
