package actor

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/stated/stated/protocol"
)

// room is what the mailbox has for requests, in bytes. A request has its room until it is answered.
type room struct {
	sem  *semaphore.Weighted
	used atomic.Int64 // the semaphore does not tell
}

func (r *room) tryAcquire(n int64) bool {
	if !r.sem.TryAcquire(n) {
		return false
	}
	r.used.Add(n)
	return true
}

func (r *room) acquire(ctx context.Context, n int64) error {
	if err := r.sem.Acquire(ctx, n); err != nil {
		return err
	}
	r.used.Add(n)
	return nil
}

func (r *room) release(n int64) {
	r.used.Add(-n)
	r.sem.Release(n)
}

// acquire waits for room in the mailbox, until ctx ends or the writer is gone: nobody would make room any more.
func (a *Actor) acquire(ctx context.Context, weight int64) error {
	if a.room.tryAcquire(weight) {
		return nil
	}
	a.stats.blocked.Add(1)
	defer a.stats.blocked.Add(-1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(a.ctx, stop)()
	return a.room.acquire(ctx, weight)
}

// release gives the room of a request back.
func (a *Actor) release(r *protocol.Request) { a.room.release(a.weight(r)) }

// weight is what a request takes of the mailbox's bytes; one that is larger than all of them takes them all.
func (a *Actor) weight(r *protocol.Request) int64 {
	return min(int64(r.Op().Size()), a.opts.MailboxBytes)
}
