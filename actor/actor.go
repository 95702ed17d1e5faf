package actor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/stated/stated/protocol"
)

// Store is what the writer needs of what is under it: apply a batch and say what became of each request, make that durable,
// and read. store.Store is one.
type Store interface {
	// Commit is called by one goroutine at a time; sync, unless it is nil, once, by any. See store.Store.Commit.
	Commit(ctx context.Context, batch protocol.Batch) (replies []protocol.Reply, sync func() error, err error)
	// Read is called by any number of goroutines. See store.Store.Read.
	Read(ctx context.Context, op *protocol.Op) (protocol.Reply, error)
}

// Options of an actor. The zero value of each field means its default.
type Options struct {
	// Mailbox is how many requests may wait; 4,096 by default.
	Mailbox int
	// MailboxBytes is how many bytes they may have; 256 MiB by default. A larger request waits alone.
	MailboxBytes int64
	// Batch is the most requests in one transaction; 1,024 by default.
	Batch int
	// BatchBytes is the most bytes in one transaction; 16 MiB by default. A larger request is a batch alone.
	BatchBytes int
	// StateBytes is the largest state; protocol.MaxStateBytes by default.
	StateBytes int
	// Readers is how many goroutines perform the reads that come over Requests; 4 by default.
	Readers int
	// Logger gets a line when the writer fails; silent by default.
	Logger zerolog.Logger
	// OnCommit is told of each batch that is durable, before its callers are: how many requests it had, their bytes, and how
	// long that took from when the write lock was held. OnLockWait is told how long a batch waited for that lock, however
	// shortly, until it had it or gave up. No two calls of one of them run at a time. They are made on the goroutines that
	// write and sync, so they must neither block nor call the actor.
	OnCommit   func(requests, bytes int, took time.Duration)
	OnLockWait func(took time.Duration)
}

func (o Options) withDefaults() Options {
	o.Mailbox = orDefault(o.Mailbox, 4096)
	o.MailboxBytes = orDefault(o.MailboxBytes, 256<<20)
	o.Batch = orDefault(o.Batch, 1024)
	o.BatchBytes = orDefault(o.BatchBytes, 16<<20)
	o.StateBytes = orDefault(o.StateBytes, protocol.MaxStateBytes)
	o.Readers = orDefault(o.Readers, 4)
	return o
}

func orDefault[T int | int64](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Actor is a running writer with its mailbox. It is a [protocol.Handler], and has the methods of [protocol.Methods].
type Actor struct {
	protocol.Methods

	store   Store
	opts    Options
	mailbox chan *protocol.Request
	room    room

	requests chan *protocol.Request // served by the intake goroutine
	reads    chan *protocol.Request // from there to the reader goroutines

	held     *protocol.Request // the writer's: came out of the mailbox, but was too large for its batch
	pipeline pipeline

	born         time.Time
	working      atomic.Int64 // since when, by now(), the writer has had a batch in hand, or waits for the next one; 0 = it has none
	lockWait     atomic.Int64 // since when, by now(), it has asked for the store's lock; 0 = it does not
	lockAttempts atomic.Int64 // how often it has asked since then

	dead      atomic.Bool   // there was a panic: the writer commits nothing more
	closing   chan struct{} // closed when no new request is let in
	closeOnce sync.Once
	done      chan struct{} // closed when the writer is gone
	ctx       context.Context
	cancel    context.CancelFunc // ends the writer's wait for the lock; called when the writer is gone, too
	wg        sync.WaitGroup
	stats     stats
}

// New starts the writer for a store, which must have no other. Close stops it; closing the store is the business of
// whoever opened it, afterwards.
func New(store Store, o Options) *Actor {
	o = o.withDefaults()
	a := &Actor{
		store:    store,
		opts:     o,
		mailbox:  make(chan *protocol.Request, o.Mailbox),
		room:     room{sem: semaphore.NewWeighted(o.MailboxBytes)},
		born:     time.Now(),
		requests: make(chan *protocol.Request),
		reads:    make(chan *protocol.Request),
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	a.Methods = protocol.Methods{Handler: a}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.pipeline = newPipeline()
	a.wg.Go(a.write)
	a.wg.Go(a.sync)
	a.wg.Go(a.takeIn)
	for range o.Readers {
		a.wg.Go(a.read)
	}
	return a
}

// Requests is the actor as a channel, for workers that send requests as messages: make one with
// [protocol.NewRequest], send it, and wait for its reply. Beside both the sending and the waiting, select on
// [Actor.Done]. Sending blocks while the mailbox is full. Closing the channel is not allowed.
func (a *Actor) Requests() chan<- *protocol.Request { return a.requests }

// takeIn is the intake goroutine. It alone brings changes from the channel into the mailbox, which keeps their order;
// reads it hands on, so that they do not hold up what is behind them.
func (a *Actor) takeIn() {
	for {
		select {
		case r := <-a.requests:
			if r.Op().Writes() {
				a.Start(a.ctx, r)
				continue
			}
			select {
			case a.reads <- r:
			case <-a.closing:
				r.Answer(protocol.Reply{Err: errClosing()})
				return
			}
		case <-a.closing:
			return
		}
	}
}

// read is a reader goroutine: it performs reads that came over the channel.
func (a *Actor) read() {
	for {
		select {
		case r := <-a.reads:
			a.Start(a.ctx, r)
		case <-a.closing:
			return
		}
	}
}

// now is the time since the actor was made, and one: 0 stands for "not". It does not jump when somebody sets the
// clock.
func (a *Actor) now() int64 { return 1 + int64(time.Since(a.born)) }

// Done is closed when the writer is gone, after Close or after a defect. What has not been answered by then never
// will be.
func (a *Actor) Done() <-chan struct{} { return a.done }

// Start hands a request over, see [protocol.Handler]. A request that changes nothing is performed at once, on the
// caller's goroutine.
func (a *Actor) Start(ctx context.Context, r *protocol.Request) {
	if err := a.start(ctx, r); err != nil {
		r.Answer(protocol.Reply{Err: err})
	}
}

func (a *Actor) start(ctx context.Context, r *protocol.Request) error {
	op := r.Op()
	switch {
	case a.isClosing():
		return errClosing()
	case ctx.Err() != nil:
		return gaveUp(ctx, "before its request had begun")
	case !op.Writes():
		reply, err := a.store.Read(ctx, op)
		if err != nil {
			return protocol.AsError(err)
		}
		r.Answer(reply)
		return nil
	}
	if err := op.CheckStateBytes(a.opts.StateBytes); err != nil {
		return err
	}
	if err := a.acquire(ctx, a.weight(r)); err != nil {
		return a.notAdmitted(ctx)
	}
	select {
	case a.mailbox <- r:
		a.pipeline.came(len(a.mailbox))
		return nil
	default:
	}
	a.stats.blocked.Add(1)
	defer a.stats.blocked.Add(-1)
	select {
	case a.mailbox <- r:
		a.pipeline.came(len(a.mailbox))
		return nil
	case <-ctx.Done():
		a.release(r)
		return a.notAdmitted(ctx)
	case <-a.closing:
		a.release(r)
		return errClosing()
	}
}

// graceful is how long a caller whose deadline has passed still waits for a request that has been taken: its commit
// is under way, and the true outcome is worth more than the moment.
const graceful = 100 * time.Millisecond

// Wait gives the reply to a request that was started, see [protocol.Handler].
func (a *Actor) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	select {
	case reply := <-r.Reply():
		return reply
	case <-a.done:
		return a.afterDone(r)
	case <-ctx.Done():
	}
	left := r.Leave()
	select {
	case reply := <-r.Reply(): // it was there already, and says more than that the time is up
		return reply
	default:
	}
	if left {
		return protocol.Reply{Err: a.left(ctx)}
	}
	timer := time.NewTimer(graceful)
	defer timer.Stop()
	select {
	case reply := <-r.Reply():
		return reply
	case <-a.done:
		return a.afterDone(r)
	case <-timer.C:
		return protocol.Reply{Err: protocol.Errorf(protocol.CodeUnknown,
			"the caller gave up while the change was being committed").Because(ctx.Err())}
	}
}

// afterDone is what a waiter finds when the writer is gone: its reply, or certainty that there will be none.
func (a *Actor) afterDone(r *protocol.Request) protocol.Reply {
	select {
	case reply := <-r.Reply():
		return reply
	default:
	}
	if r.Leave() {
		return protocol.Reply{Err: errClosing()}
	}
	return protocol.Reply{Err: protocol.Errorf(protocol.CodeUnknown, "the writer is gone")}
}

// left is the error of a caller that gave up waiting in the mailbox.
func (a *Actor) left(ctx context.Context) error {
	since := a.lockWait.Load()
	if since == 0 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return gaveUp(ctx, "before its request was reached")
	}
	elapsed := time.Duration(a.now() - since).Round(time.Millisecond)
	return protocol.Errorf(protocol.CodeLocked, "another process has held the database's lock for %v", elapsed).
		With(protocol.FactAttempts, strconv.FormatInt(a.lockAttempts.Load(), 10)).
		With(protocol.FactElapsed, elapsed.String()).
		Because(ctx.Err())
}

// notAdmitted is the error of a caller that found no room in the mailbox.
func (a *Actor) notAdmitted(ctx context.Context) error {
	if a.isClosing() {
		return errClosing()
	}
	if a.lockWait.Load() != 0 {
		return a.left(ctx)
	}
	return gaveUp(ctx, "while the mailbox was full")
}

func gaveUp(ctx context.Context, when string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return protocol.Errorf(protocol.CodeOverloaded, "the deadline passed %s", when).Because(ctx.Err())
	}
	return protocol.Errorf(protocol.CodeCanceled, "the caller gave up %s", when).Because(ctx.Err())
}

func errClosing() error {
	return protocol.Errorf(protocol.CodeUnavailable, "the writer has stopped")
}

func (a *Actor) isClosing() bool {
	select {
	case <-a.closing:
		return true
	default:
		return false
	}
}

// Close refuses new requests, waits until the writer has applied and answered what is in the mailbox, and stops it.
// When ctx ends before that, what has not been taken is answered UNAVAILABLE, and Close returns an error. It may be
// called more than once.
func (a *Actor) Close(ctx context.Context) error {
	a.closeOnce.Do(func() { close(a.closing) })
	var err error
	select {
	case <-a.done:
	case <-ctx.Done():
		err = fmt.Errorf("the mailbox was not drained: %w", ctx.Err())
	}
	a.cancel()
	a.wg.Wait()
	return err
}
