package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/stated/stated/protocol"
)

// Others gives the id of an agent that is not a benchmark's, or "" when there is none. It looks at the ends of the list
// only, so that it is quick in a large store: strange ids between our own are not found, nor are they ever written.
func Others(ctx context.Context, h protocol.Handler) (string, error) {
	m := protocol.Methods{Handler: h}
	for _, after := range []string{"", agentID(maxAgents)} {
		reply, err := m.List(ctx, "", after, 1)
		if err != nil {
			return "", err
		}
		if len(reply.Entries) > 0 && !isOwn(reply.Entries[0].ID) {
			return reply.Entries[0].ID, nil
		}
	}
	return "", nil
}

// Remove deletes the agents that benchmarks have left, and tells how many. It ends with ctx.
func Remove(ctx context.Context, h protocol.Handler) (removed int64, err error) {
	m := protocol.Methods{Handler: h}
	for after := ""; ; {
		page, err := m.List(ctx, Prefix, after, protocol.MaxTxnOps)
		if err != nil {
			return removed, err
		}
		var ops []protocol.Op
		for _, e := range page.Entries {
			if !isOwn(e.ID) {
				continue
			}
			op, err := protocol.Delete(e.ID, protocol.Condition{})
			if err != nil {
				return removed, err
			}
			ops = append(ops, op)
		}
		if len(ops) > 0 {
			if _, err := m.Txn(ctx, ops...); err != nil {
				return removed, err
			}
			removed += int64(len(ops))
		}
		if after = page.Next; after == "" {
			return removed, nil
		}
	}
}

const (
	fillers   = 4       // clients that fill the store
	fillBytes = 1 << 20 // of states in one transaction, about
	fillOps   = 512
)

// fill saves every agent once, in transactions of many. It stops between two of them when ctx ends.
func (r *run) fill(ctx context.Context) error {
	chunk := min(max(1, fillBytes/r.o.Size.mean()), fillOps)
	var next atomic.Int64
	errs := make([]error, min(fillers, len(r.clients)))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil && ctx.Err() == nil {
				from := int(next.Add(int64(chunk))) - chunk
				if from >= r.o.Agents {
					return
				}
				errs[i] = r.fillChunk(r.clients[i], from, min(from+chunk, r.o.Agents))
			}
		})
	}
	stop := r.watch("filling", int64(r.o.Agents))
	wg.Wait()
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

func (r *run) fillChunk(c *client, from, to int) error {
	// The states of a chunk are its own, whoever fills it.
	d := newDraw(&r.o, 1<<32+uint64(from), r.text) //nolint:gosec // it is positive
	ops := make([]protocol.Op, 0, to-from)
	for n := from; n < to; n++ {
		op, err := protocol.Save(agentID(uint64(n)), d.state(), protocol.Condition{}) //nolint:gosec // likewise
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.o.Timeout)
	defer cancel()
	if _, err := (protocol.Methods{Handler: c.h}).Txn(ctx, ops...); err != nil {
		return err
	}
	c.done.Add(int64(to - from))
	return nil
}
