package store

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stated/stated/protocol"
)

// This file lets a commit be visible before it is durable, so that the next batch is applied while the log is being synced.
// The writer's COMMIT leaves the sync out; what is acknowledged, and what a read of ours has seen, waits for one that began
// after the COMMIT had ended. One sync covers every commit before it.
//
// Nothing that was acknowledged can be lost: whoever copies the log into the database, we or another process, syncs it
// before, and nobody begins a log anew that was not copied and the database synced. ARCHITECTURE.md has the argument.
//
// When a sync fails, the system may take what was not written for written, and say next time that all is well. So every
// commit since the last good sync is in doubt, and none is begun until the log was opened anew, see settleLog.

// pipeline is the commits that are not durable yet.
type pipeline struct {
	on      bool
	failing func(error)            // is told of a sync that failed; it must not block
	syncs   atomic.Int64           // how many there were
	durable atomic.Int64           // every change up to this revision is durable
	last    atomic.Pointer[commit] // the newest that is not; nil when there is none
	removed atomic.Pointer[commit] // the newest that may have removed something, durable or not

	mu     sync.Mutex
	open   []*commit // in their order; the last one may be about to become visible
	broken error     // why no commit is begun

	syncing sync.Mutex // held during a sync; taken before mu
	log     *os.File   // SQLite has no record locks on the log, which this descriptor could drop
	is      identity
	instead func(run func() error) error // of tests, for a sync to wait or fail; nil otherwise
}

// commit is one that was begun and has not been synced.
type commit struct {
	revision int64         // the counter as it leaves it
	visible  bool          // COMMIT has succeeded
	done     chan struct{} // closed when it is durable, when that failed, and when it was withdrawn
	err      error         // why it may be lost
	before   *commit       // of one that was withdrawn: the one in front of it
}

// opened begins with a log that is durable up to its last commit, which has left the counter at revision.
func (p *pipeline) opened(log *os.File, is identity, revision int64) {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log, p.is, p.broken = log, is, nil
	p.durable.Store(revision)
	p.last.Store(nil)
	p.removed.Store(nil)
}

// close syncs what is open, and gives the log up. A commit that is not visible by now never will be: its writer has panicked.
func (p *pipeline) close() error {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	if p.log == nil {
		return nil
	}
	if n := p.visible(); n > 0 {
		p.settle(n, p.persist())
	}
	p.abandon()
	f := p.log
	p.log = nil
	return f.Close()
}

func (p *pipeline) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.err = protocol.Errorf(protocol.CodeUnknown, "the commit was not completed")
		close(c.done)
	}
	p.open = nil
}

// begin comes before a COMMIT that leaves the counter at revision, and may remove something.
func (p *pipeline) begin(revision int64, removes bool) (*commit, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return nil, protocol.Errorf(protocol.CodeIO, "the write-ahead log could not be synced").Because(p.broken)
	}
	c := &commit{revision: revision, done: make(chan struct{})}
	p.open = append(p.open, c)
	p.last.Store(c)
	if removes {
		p.removed.Store(c)
	}
	return c, nil
}

func (p *pipeline) isBroken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken != nil
}

// committed says that the COMMIT has succeeded.
func (p *pipeline) committed(c *commit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.visible = true
}

// withdraw says that it has failed. Who waits for it goes on to wait for the one before.
func (p *pipeline) withdraw(c *commit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.open) - 1
	if n < 0 || p.open[n] != c { // a failed sync was quicker
		return
	}
	p.open = slices.Delete(p.open, n, n+1)
	if n > 0 {
		c.before = p.open[n-1]
	}
	p.last.Store(c.before)
	p.removed.CompareAndSwap(c, c.before)
	close(c.done)
}

// sync blocks until a commit is durable, and syncs the log if it must. It returns UNKNOWN when that failed.
func (p *pipeline) sync(c *commit) error {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	select {
	case <-c.done: // the sync of another one has covered it
	default:
		p.settle(p.visible(), p.persist())
	}
	return c.err
}

// unsynced is how many commits of ours may be visible and not synced: scanLog relies on it.
const unsynced = 2

// makeRoom syncs when there are as many. A writer who has but one batch in front of the one that it begins never meets that.
func (p *pipeline) makeRoom() {
	p.mu.Lock()
	var newest *commit
	if n := len(p.open); n >= unsynced {
		newest = p.open[n-1]
	}
	p.mu.Unlock()
	if newest != nil {
		_ = p.sync(newest) // if that fails, begin says so
	}
}

// visible gives how many of the open commits a sync that begins now covers.
func (p *pipeline) visible() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.open)
	if n > 0 && !p.open[n-1].visible {
		n--
	}
	return n
}

// persist syncs the log, and looks whether that was worth something: the files must be in their places, and the file system
// must not have become read-only, as Linux makes it after an error. On ext4 an fsync then says that all is well, and has
// done nothing (ext4_sync_file before Linux 6.15).
func (p *pipeline) persist() error {
	run := func() error { return fdatasync(p.log) }
	if p.instead != nil {
		run = func() error { return p.instead(func() error { return fdatasync(p.log) }) }
	}
	p.syncs.Add(1)
	if err := run(); err != nil {
		return protocol.Errorf(protocol.CodeUnknown, "the write-ahead log could not be synced: %w", err)
	}
	if err := p.is.check(); err != nil {
		return movedAway(err)
	}
	if readOnlyFileSystem(p.is.path) {
		return errBecameReadOnly()
	}
	return nil
}

// settle enters the outcome of a sync that has covered the first n commits. When it failed, all of them are in doubt, and those
// that it has not covered, too.
func (p *pipeline) settle(n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	covered := n
	if err != nil {
		p.broken, n = err, len(p.open)
		p.failing(err)
	}
	for i, c := range p.open[:n] {
		switch {
		case err == nil:
			p.durable.Store(c.revision)
		case i < covered:
			c.err = err
		default: // whatever the reason was: it is durable nowhere
			c.err = protocol.Errorf(protocol.CodeUnknown, "the sync ahead of the commit has failed: %v", err)
		}
		close(c.done)
	}
	p.open = slices.Delete(p.open, 0, n)
	if len(p.open) == 0 && err == nil {
		p.last.Store(nil)
	}
}

// wait blocks until a commit is durable, and with it those before, or until ctx ends.
func (c *commit) wait(ctx context.Context) error {
	for ; c != nil; c = c.before {
		select {
		case <-c.done:
		case <-ctx.Done():
			return protocol.Errorf(protocol.CodeOverloaded, "what was read had not become durable in time").Because(ctx.Err())
		}
		if c.err != nil && !errors.Is(c.err, protocol.CodeUnavailable) { // else it is durable, in a file that was moved
			return protocol.Errorf(protocol.CodeIO, "what was read may be lost: the write-ahead log could not be synced").Because(c.err)
		}
	}
	return nil
}

// sync makes a commit durable, see Commit.
func (s *Store) sync(c *commit) error {
	err := s.pipe.sync(c)
	if err != nil {
		s.stats.inDoubt.Add(1)
	}
	return translate(err)
}

// syncFailed has the store's own goroutine draw the consequences: who syncs must not wait for the writer.
func (s *Store) syncFailed(err error) {
	s.log.Error().Err(err).Msg("the last commits could not be made durable: their outcome is unknown")
	s.damage.CompareAndSwap(nil, &err)
	s.nudge()
}

// whenDurable gives what was read as soon as no crash can take it back.
func (s *Store) whenDurable(ctx context.Context, op *protocol.Op, reply protocol.Reply, err error) (protocol.Reply, error) {
	seen := s.pipe.last.Load()
	switch kind := op.Kind(); {
	case seen == nil:
		return reply, err
	case err == nil && (kind == protocol.KindLoad || kind == protocol.KindStat) && reply.Revision <= s.pipe.durable.Load():
		return reply, nil
	case errors.Is(err, protocol.CodeNotFound):
		seen = s.pipe.removed.Load()
	case err != nil && !errors.Is(err, protocol.CodeConflict):
		return reply, err
	}
	if err := seen.wait(ctx); err != nil {
		return protocol.Reply{}, err
	}
	return reply, err
}
