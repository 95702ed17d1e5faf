package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stated/stated/protocol"
)

// client is one that sends requests and waits for their answers.
type client struct {
	h    protocol.Handler
	o    *Options
	draw *draw
	all  []exchange // as many as the pipeline holds

	ctx    context.Context // of requests; made anew now and then, which is cheaper than one for each
	cancel context.CancelFunc
	made   time.Time
	pause  time.Duration // after a round that failed

	done, failed atomic.Int64 // others look at them while it runs
	tally
}

// tally is what a client counts.
type tally struct {
	latencies  *latencies
	operations int64 // saves and loads that were performed
	bytes      int64 // of the states in them
	conflicts  int64
	errors     map[protocol.Code]int64
	first      error // of those errors
}

func newTally() tally { return tally{latencies: newLatencies(), errors: map[protocol.Code]int64{}} }

func (t *tally) add(from *tally) {
	t.latencies.merge(from.latencies)
	t.operations += from.operations
	t.bytes += from.bytes
	t.conflicts += from.conflicts
	for code, n := range from.errors {
		t.errors[code] += n
	}
	if t.first == nil {
		t.first = from.first
	}
}

// exchange is a request of a client and what came back.
type exchange struct {
	id      string
	begun   time.Time
	request *protocol.Request
	reply   protocol.Reply
	bytes   int64 // of the states in it
	ops     int64
}

func newClient(h protocol.Handler, o *Options, number int, text []byte) *client {
	return &client{
		h: h, o: o, draw: newDraw(o, uint64(number)+1, text), all: make([]exchange, o.Pipeline), //nolint:gosec // it is positive
		tally: newTally(),
	}
}

// run sends requests until stop, or until there were so many unless that is negative. It waits for the answers.
func (c *client) run(stop <-chan struct{}, requests int64) {
	defer func() {
		if c.cancel != nil {
			c.cancel()
			c.cancel = nil
		}
	}()
	for requests != 0 {
		select {
		case <-stop:
			return
		default:
		}
		n := len(c.all)
		if requests > 0 {
			n = int(min(int64(n), requests))
			requests -= int64(n)
		}
		failed := c.failed.Load()
		c.refresh()
		c.round(c.all[:n])
		if c.failed.Load() == failed {
			c.pause = 0
		} else if !c.rest(stop) {
			return
		}
	}
}

// refresh gives the requests to come a context that lasts for the timeout at least.
func (c *client) refresh() {
	if c.cancel != nil && time.Since(c.made) < c.o.Timeout {
		return
	}
	if c.cancel != nil {
		c.cancel()
	}
	c.made = time.Now()
	c.ctx, c.cancel = context.WithTimeout(context.Background(), 2*c.o.Timeout)
}

const (
	firstPause = 10 * time.Millisecond
	mostPause  = time.Second
)

// rest pauses, the longer the more rounds in a row have failed: a server that is away would else be asked without end.
func (c *client) rest(stop <-chan struct{}) bool {
	c.pause = min(max(2*c.pause, firstPause), mostPause)
	timer := time.NewTimer(c.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

func (c *client) start(e *exchange, op protocol.Op) {
	e.request = protocol.NewRequest(op)
	c.h.Start(c.ctx, e.request)
}

func (c *client) wait(e *exchange) {
	e.reply = c.h.Wait(c.ctx, e.request)
}

// note counts a request that is through.
func (c *client) note(e *exchange) {
	if err := e.reply.Err; err != nil {
		c.failed.Add(1)
		c.errors[protocol.CodeOf(err)]++
		if c.first == nil {
			c.first = err
		}
		return
	}
	c.latencies.record(time.Since(e.begun))
	c.operations += e.ops
	c.bytes += e.bytes
	c.done.Add(1)
}
