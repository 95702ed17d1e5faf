package linear

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

const clients = 8

// client asks for one operation after another, at random.
type client struct {
	id     int
	random *rand.Rand
	seen   [agents]int64 // the last revision that it was told of each agent
	states int           // how many it has made: no two are the same
	hasty  bool          // some of its operations have a deadline that a held lock exceeds
}

func newClients(random *rand.Rand, hasty bool) []*client {
	all := make([]*client, clients)
	for i := range all {
		all[i] = &client{id: i, random: rand.New(rand.NewPCG(random.Uint64(), 0)), hasty: hasty} //nolint:gosec // repeatable on purpose
	}
	return all
}

func must(op protocol.Op, err error) protocol.Op {
	if err != nil {
		panic(err)
	}
	return op
}

// next gives an operation: loads and saves mostly, and every fourth is a transaction.
func (c *client) next() *protocol.Op {
	var op protocol.Op
	switch n := c.random.IntN(100); {
	case n < 75:
		op = c.one(c.random.IntN(agents), false)
	case n < 85: // all agents as they were at one moment
		var ops []protocol.Op
		for i := range agents {
			ops = append(ops, must(protocol.Load(agentID(i))))
		}
		op = must(protocol.Txn(ops...))
	default:
		var ops []protocol.Op
		for range 2 + c.random.IntN(3) {
			ops = append(ops, c.one(c.random.IntN(agents), true))
		}
		op = must(protocol.Txn(ops...))
	}
	return &op
}

// one gives an operation on an agent.
func (c *client) one(agent int, inTxn bool) protocol.Op {
	id := agentID(agent)
	switch n := c.random.IntN(100); {
	case n < 30:
		return must(protocol.Load(id))
	case n < 80:
		c.states++
		return must(protocol.Save(id, fmt.Appendf(nil, `"%d.%d"`, c.id, c.states), c.condition(agent, true)))
	case n < 90 && inTxn:
		cond := c.condition(agent, true)
		if cond.None() {
			cond = protocol.IfExists()
		}
		return must(protocol.Check(id, cond))
	default:
		return must(protocol.Delete(id, c.condition(agent, false)))
	}
}

// condition gives one that often holds: half of the changes have none.
func (c *client) condition(agent int, absent bool) protocol.Condition {
	switch n := c.random.IntN(100); {
	case n < 30 && c.seen[agent] > 0:
		return protocol.IfRevision(c.seen[agent])
	case n < 40:
		return protocol.IfExists()
	case n < 50 && absent:
		return protocol.IfAbsent()
	default:
		return protocol.Condition{}
	}
}

// learn remembers what a reply says of revisions.
func (c *client) learn(op *protocol.Op, reply *protocol.Reply, err error) {
	if current, ok := protocol.CurrentRevision(err); ok {
		if i, ok := protocol.ConflictIndex(err); ok && i < len(op.Ops()) {
			op = &op.Ops()[i]
		}
		c.seen[agentIndex(op.ID())] = current
		return
	}
	if err != nil {
		return
	}
	for i := range reply.Replies {
		c.learn(&op.Ops()[i], &reply.Replies[i], nil)
	}
	if op.Kind() != protocol.KindTxn && op.Kind() != protocol.KindCheck {
		c.seen[agentIndex(op.ID())] = reply.Revision
	}
}

// deadline gives how long the client will wait.
func (c *client) deadline() time.Duration {
	if c.hasty && c.random.IntN(10) == 0 {
		return time.Duration(10+c.random.IntN(40)) * time.Millisecond
	}
	return harness.Patience
}

// run goes on until whoever performs the operations says that it is gone.
func (c *client) run(t *testing.T, r *running, to protocol.Handler) {
	for {
		r.await()
		ctx, cancel := context.WithTimeout(context.Background(), c.deadline())
		op := c.next()
		reply, err := r.h.do(ctx, t, c.id, to, op)
		cancel()
		c.learn(op, &reply, err)
		if protocol.CodeOf(err) == protocol.CodeUnavailable || t.Failed() {
			return
		}
	}
}

// running is the clients at work.
type running struct {
	h     *history
	to    protocol.Handler
	from  int // operations in the history before
	quota int // how many operations may be begun since; guarded by the history's lock
	more  *sync.Cond
	wg    sync.WaitGroup
}

// start lets the clients loose, each on a handler of its own. They do nothing until they are given a quota.
func (h *history) start(t *testing.T, all []*client, handlers []protocol.Handler) *running {
	r := &running{h: h, to: handlers[0], from: h.size(), more: sync.NewCond(&h.mu)}
	t.Cleanup(r.allowAll) // nobody waits behind a test that failed
	for i, c := range all {
		r.wg.Go(func() { c.run(t, r, handlers[i]) })
	}
	return r
}

// await blocks a client while the quota is used up.
func (r *running) await() {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	for len(r.h.ops)-r.from >= r.quota {
		r.more.Wait()
	}
}

func (r *running) allow(n int) {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	r.quota = n
	r.more.Broadcast()
}

func (r *running) allowAll() { r.allow(math.MaxInt) }

// until has the clients do n operations since start, and a few more.
func (r *running) until(t *testing.T, n int) {
	t.Helper()
	r.allow(n)
	eventually(t, fmt.Sprintf("%d operations are done", n), func() bool { return r.h.size()-r.from >= n })
}

// end ends the service while the clients are at work, waits for them, and closes the chapter.
func (r *running) end(t *testing.T, service func()) {
	t.Helper()
	r.allowAll()
	begun := r.h.size()
	eventually(t, "the clients work", func() bool { return r.h.size() > begun })
	service()
	r.wg.Wait()
	r.h.settle()
}

// eventually repeats a question until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	for !yes() && !t.Failed() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Errorf("in vain: %s", what)
		}
	}
}
