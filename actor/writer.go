package actor

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/stated/stated/protocol"
)

// write is the writer goroutine.
func (a *Actor) write() {
	var b *batch
	defer close(a.done)
	defer a.cancel()
	defer a.pipeline.end()
	defer a.dismissWaiting()
	defer func() { a.died(recover(), b) }()
	for !a.dead.Load() {
		r := a.held
		a.held = nil
		if r == nil {
			if r = a.next(); r == nil {
				return
			}
			if a.dead.Load() {
				a.held = r
				return
			}
		}
		b = a.nextBatch()
		a.commit(b, r)
	}
}

// next blocks for one request. It gives nil when the actor is being closed and the mailbox is empty.
func (a *Actor) next() *protocol.Request {
	select {
	case r := <-a.mailbox:
		return r
	case <-a.closing:
		select {
		case r := <-a.mailbox:
			return r
		default:
			return nil
		}
	}
}

// commit applies the request, and what else is waiting, in one transaction, and answers, or leaves that to who syncs.
func (a *Actor) commit(b *batch, first *protocol.Request) {
	a.working.Store(a.now())
	defer a.working.Store(0)
	b.reset(first)
	a.gather()
	// Those that wait from now on share the fate of this attempt to get the lock; later ones have a budget of their own.
	earlier := len(a.mailbox)
	replies, sync, err := a.store.Commit(a.ctx, b)
	if errors.Is(err, protocol.CodeLocked) {
		a.waited(a.now())
	}
	a.lockWait.Store(0)
	switch {
	case err != nil:
		b.fail(err)
		if len(b.taken) == 0 && errors.Is(err, protocol.CodeLocked) {
			a.failWaiting(earlier-b.filled, err)
		}
	case len(replies) != len(b.taken):
		panic(fmt.Sprintf("actor: %d replies for %d requests", len(replies), len(b.taken)))
	default:
		b.replies, b.sync = replies, sync
		a.complete(b)
		return
	}
	a.pipeline.give(b)
}

// gather lets those callers who can run ask before the batch begins, above all those whom the last one has just answered:
// else a set of callers that wait for each reply falls into two halves, which share no commit. It gives the processor
// away and never waits; it is done when that brings nobody more.
func (a *Actor) gather() {
	for before := -1; before < len(a.mailbox) && len(a.mailbox) < a.opts.Batch; {
		before = len(a.mailbox)
		runtime.Gosched()
	}
}

// waited ends the wait for the lock, and tells how long it was.
func (a *Actor) waited(now int64) {
	since := a.lockWait.Swap(0)
	if since != 0 && a.opts.OnLockWait != nil {
		a.opts.OnLockWait(time.Duration(now - since))
	}
}

// failWaiting answers the next n requests of the mailbox with an error.
func (a *Actor) failWaiting(n int, err error) {
	for range n {
		select {
		case r := <-a.mailbox:
			a.dismiss(r, err)
		default:
			return
		}
	}
}

// dismiss answers a request that was not applied.
func (a *Actor) dismiss(r *protocol.Request, err error) {
	a.release(r)
	r.Answer(protocol.Reply{Err: err})
}

// dismissWaiting answers whoever is left when the writer ends.
func (a *Actor) dismissWaiting() {
	if a.held != nil {
		a.dismiss(a.held, errClosing())
	}
	a.failWaiting(cap(a.mailbox), errClosing())
}

// died comes after a panic, with a batch that was taken. Nobody may be left waiting: what was taken has an unknown outcome,
// and everything else is not applied.
func (a *Actor) died(defect any, b *batch) {
	if defect == nil {
		return
	}
	a.opts.Logger.Error().Interface("panic", defect).Bytes("stack", debug.Stack()).Msg("the writer has died of a defect")
	a.dead.Store(true)
	a.lockWait.Store(0)
	a.closeOnce.Do(func() { close(a.closing) })
	b.fail(protocol.Errorf(protocol.CodeUnknown, "the writer has died of a defect while the change was being committed"))
}

// batch is the requests that the writer has in hand. It is a [protocol.Batch].
type batch struct {
	a       *Actor
	waiting []*protocol.Request // not taken: their callers may still leave
	taken   []*protocol.Request
	ops     []*protocol.Op
	bytes   int              // of those two
	takenAt int64            // when they were taken, by now()
	filled  int              // how many came out of the mailbox after the first
	limit   int              // how many it may have
	alone   bool             // the writer syncs it by itself
	replies []protocol.Reply // once it is committed
	sync    func() error     // makes it durable then; nil when it is
}

func (b *batch) reset(first *protocol.Request) {
	b.forget()
	b.waiting = append(b.waiting, first)
	b.bytes = first.Op().Size()
	b.filled = 0
}

// forget drops the references of the last batch, so that its states can be collected.
func (b *batch) forget() {
	clear(b.waiting)
	clear(b.taken)
	clear(b.ops)
	b.waiting, b.taken, b.ops = b.waiting[:0], b.taken[:0], b.ops[:0]
	b.replies, b.sync = nil, nil
}

// Asking notes since when, and how often, the lock has been asked for, for those who give up meanwhile.
func (b *batch) Asking(attempt int) {
	b.a.lockWait.CompareAndSwap(0, b.a.now())
	b.a.lockAttempts.Store(int64(attempt))
}

// Take gives the operations of those who still wait, and adds what has come into the mailbox meanwhile.
func (b *batch) Take() []*protocol.Op {
	b.takenAt = b.a.now()
	b.a.waited(b.takenAt)
	b.limit, b.alone = b.a.pipeline.share(len(b.waiting)+len(b.a.mailbox), b.a.opts.Batch)
	b.fill()
	for _, r := range b.waiting {
		if !r.Take() {
			b.left(r)
			continue
		}
		b.taken = append(b.taken, r)
		b.ops = append(b.ops, r.Op())
	}
	b.waiting = b.waiting[:0]
	return b.ops
}

// left drops a request whose caller has left.
func (b *batch) left(r *protocol.Request) {
	b.a.release(r)
	b.bytes -= r.Op().Size()
}

// fill takes requests out of the mailbox, without waiting, until the batch is full.
func (b *batch) fill() {
	for b.a.held == nil && len(b.waiting) < b.limit && b.bytes < b.a.opts.BatchBytes {
		select {
		case r := <-b.a.mailbox:
			b.filled++
			size := r.Op().Size()
			if b.bytes+size > b.a.opts.BatchBytes {
				b.a.held = r
				return
			}
			b.waiting = append(b.waiting, r)
			b.bytes += size
		default:
			return
		}
	}
}

// Release puts those back whose transaction was rolled back.
func (b *batch) Release() {
	for _, r := range b.taken {
		if !r.Release() {
			b.left(r)
			continue
		}
		b.waiting = append(b.waiting, r)
	}
	b.taken, b.ops = b.taken[:0], b.ops[:0]
	b.a.lockWait.Store(b.a.now())
}

// answer gives every request its reply.
func (b *batch) answer() {
	b.committed()
	for i, r := range b.taken {
		b.a.release(r)
		r.Answer(b.replies[i])
	}
	b.forget()
}

// committed counts the batch, unless everyone had left it.
func (b *batch) committed() {
	if len(b.taken) == 0 {
		return
	}
	b.a.stats.batch(len(b.taken), b.bytes)
	if b.a.opts.OnCommit != nil {
		b.a.opts.OnCommit(len(b.taken), b.bytes, time.Duration(b.a.now()-b.takenAt))
	}
}

// fail gives every request the same error. What was taken and not released may have been applied unless the error
// says otherwise.
func (b *batch) fail(err error) {
	for _, r := range b.taken {
		b.a.dismiss(r, err)
	}
	for _, r := range b.waiting {
		notApplied := err
		if protocol.CodeOf(err) == protocol.CodeUnknown {
			notApplied = errClosing()
		}
		b.a.dismiss(r, notApplied)
	}
	b.forget()
}
