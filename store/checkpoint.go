package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// This file keeps the write-ahead log short. A checkpoint copies the log into the database; when all of it is copied
// and nobody reads from it any more, the next commit begins the log from its start.
//
// The bulk is copied in the background, on a connection of its own, while the writer goes on. Beside a busy writer that
// never reaches the end, since the log grows meanwhile. So above the mark the writer itself copies the little that is
// left, between two batches, and has the log begin anew. Only a reader who holds an old snapshot can keep it from that.
//
// That is a pause for everybody. It is rare because the log is large, and short because the background has copied the log up
// to its last few hundredths by then, and has had the pages of a large database written out, see writeout.go.

// wal is what the store knows of its write-ahead log.
type wal struct {
	mu   sync.Mutex // held during a checkpoint; SQLite allows one at a time
	conn *conn      // of the checkpoints in the background; nil after a failure, until the next one

	frames   atomic.Int64 // pages in the log: what was last seen, and what we have written since; rather too many
	asked    int64        // how many there were when we last asked for a checkpoint in the background; Store.mu guards it
	wanted   atomic.Bool  // one is asked for
	suspect  atomic.Bool  // a checkpoint has failed, see copyAgain
	pause    time.Duration
	next     time.Time // when the writer may try again to end the log; Store.mu guards it
	failed   bool      // the last checkpoint in the background failed; the maintenance goroutine's own
	written  time.Time // when the log had last been written to, as the maintenance goroutine saw it
	lookedAt time.Time // when it looked

	pin     atomic.Pointer[Pin]
	warned  time.Time // when a pin was last reported; Store.mu guards it
	ended   atomic.Int64
	longest atomic.Int64                              // nanoseconds
	around  func(mode string, run func() error) error // of tests, for a checkpoint to fail; nil otherwise
	instead func()                                    // of tests, in place of each write-out of the database; nil otherwise
	passes  atomic.Int64
	errors  atomic.Int64
}

// Pin says that a reader keeps the write-ahead log from being begun anew: what was written since its snapshot has to
// stay there as long as it reads.
type Pin struct {
	Since time.Time
	Pids  []int // of the processes that read from the log, this one perhaps among them; empty when not known
}

const (
	// frameHeader is what a page in the log has in front of it (https://www.sqlite.org/fileformat2.html#walformat).
	frameHeader = 24
	// outsidersMark bounds the log while outsiders write, in pages: from 1,000 on each of their commits would
	// make a checkpoint (https://www.sqlite.org/pragma.html#pragma_wal_autocheckpoint).
	outsidersMark = 900
	// endLogWait is how long the writer waits for readers that are just about to leave the log.
	endLogWait = 20 * time.Millisecond
	// firstEndPause is how long the writer leaves a log alone that could not be ended. It doubles each time, up to
	// mostEndPause, so that a reader who stays costs little.
	firstEndPause = 100 * time.Millisecond
	mostEndPause  = 10 * time.Second
	// pinWarnEvery is how often a pin that lasts is logged.
	pinWarnEvery = time.Minute
)

// mark is the number of pages from which on the writer ends the log.
func (s *Store) mark() int64 {
	mark := s.opts.WALBytes / (s.pageSize + frameHeader)
	if s.fair.write(time.Now()) {
		mark = min(mark, outsidersMark)
	}
	return mark
}

// grown notes that we have written pages into the log, and asks for a checkpoint now and then.
func (s *Store) grown(pages int64) {
	frames := s.wal.frames.Add(pages)
	if frames >= nextPass(s.wal.asked, s.mark()) {
		s.wal.asked = frames
		s.wal.wanted.Store(true)
		s.nudge()
	}
}

// countLog counts the pages of the log that another process, which has the file open, has kept from Open. A long one the writer
// shall not end at once, for the background to copy it first: it may become longer by a quarter of the mark.
func (s *Store) countLog(ctx context.Context) error {
	state, err := s.w.conn.checkpoint(ctx, "NOOP")
	if isLocked(err) { // it is not worth waiting for
		return nil
	}
	if err == nil && state.copied < state.frames {
		s.grown(min(state.frames, s.mark()*3/4))
	}
	return err
}

// nextPass gives the number of pages at which to ask the background to copy, when it was last asked at another: after half of
// what is left to the mark, so the last time with a thirty-second of the mark left. A page that is saved to often is so copied
// a few times alone, and yet little is left for the writer. A log that is kept from ending goes on beyond the mark.
func nextPass(asked, mark int64) int64 {
	if left := mark - asked; left > mark/24 { // between a sixteenth and a thirty-second
		return asked + left/2
	}
	return asked + mark/4
}

// logState is the answer of a checkpoint.
type logState struct {
	busy           bool  // it was kept from ending: by another checkpoint, or by readers
	frames, copied int64 // pages in the log, and those of them that are in the database too
}

func (c *conn) checkpoint(ctx context.Context, mode string) (logState, error) {
	row, ok, err := c.row(ctx, "PRAGMA wal_checkpoint("+mode+")")
	if isLocked(err) {
		return logState{busy: true}, nil
	}
	if err != nil || !ok {
		return logState{}, err
	}
	busy, _ := row[0].(int64)
	frames, _ := row[1].(int64)
	copied, _ := row[2].(int64)
	return logState{busy != 0, frames, copied}, nil
}

// boundLog ends the log when it has grown to the mark. mode is how: RESTART leaves the file as it is, to be written over;
// TRUNCATE cuts it to nothing; PASSIVE only tries whether it can be copied. It runs between two transactions. An error
// means that the log cannot be kept short.
func (s *Store) boundLog(ctx context.Context, mode string) error {
	mark := s.mark()
	if s.wal.frames.Load() < mark || s.w == nil || time.Now().Before(s.wal.next) {
		return nil
	}
	s.wal.mu.Lock() // the checkpoint in the background has done most of the work when it is through
	defer s.wal.mu.Unlock()
	begun := time.Now()
	state, err := s.w.conn.checkpoint(ctx, "NOOP")
	if err == nil && !state.busy && state.frames < mark { // it has begun anew by itself
		s.begunAnew(state.frames)
		return nil
	}
	if err == nil {
		err = s.copyAgainLocked(ctx)
	}
	if isLocked(err) { // the next batch tries again
		return nil
	}
	if err == nil {
		state, err = s.endLog(ctx, mode)
	}
	took := time.Since(begun)
	s.wal.longest.Store(max(s.wal.longest.Load(), int64(took)))
	if err != nil {
		return err
	}
	s.checkpointed(true, took)
	s.log.Debug().Dur("elapsed", took).Int64("frames", state.frames).Int64("copied", state.copied).Bool("busy", state.busy).
		Msg("checkpoint between two batches")
	if !state.busy && state.copied == state.frames {
		s.wal.ended.Add(1)
		s.wal.pause = 0
		s.begunAnew(0)
		return nil
	}
	s.wal.frames.Store(max(state.frames, mark))
	s.wal.pause = min(max(2*s.wal.pause, firstEndPause), mostEndPause)
	s.wal.next = time.Now().Add(s.wal.pause)
	s.pinned(state)
	return nil
}

// begunAnew notes that the log has only so many pages again.
func (s *Store) begunAnew(frames int64) {
	s.wal.frames.Store(frames)
	s.wal.asked = 0
	s.wal.pin.Store(nil)
}

// endLog copies what is left of the log and has the next commit begin it anew. Our own reads could keep it from that for
// ever, one after the other: so they are held back for a moment, unless one of them takes long.
func (s *Store) endLog(ctx context.Context, mode string) (logState, error) {
	state, err := s.wal.checkpoint(ctx, s.w.conn, "PASSIVE")
	if err != nil || state.busy || mode == "PASSIVE" {
		return state, err
	}
	held := s.holdReaders(endLogWait)
	defer s.letReaders(held)
	if len(held) < s.opened {
		return logState{true, state.frames, state.copied}, nil
	}
	err = s.w.conn.withTimeout(endLogWait, func() (err error) {
		state, err = s.wal.checkpoint(ctx, s.w.conn, mode)
		return err
	})
	return state, err
}

// pinned notes who keeps the log from ending, and says so once in a while.
func (s *Store) pinned(state logState) {
	pin := Pin{Since: time.Now(), Pids: readersOfLog(s.path)}
	if was := s.wal.pin.Load(); was != nil {
		pin.Since = was.Since
	}
	s.wal.pin.Store(&pin)
	if now := time.Now(); now.Sub(s.wal.warned) >= pinWarnEvery {
		s.wal.warned = now
		s.log.Warn().Ints("pids", pin.Pids).Int64("frames", state.frames).Int64("bytes", sizeOf(s.path+"-wal")).
			Msg("a reader keeps the write-ahead log from being begun anew: it grows until that read ends")
	}
}

// checkpoint copies what it can of the log into the database, beside the writer.
func (s *Store) checkpoint(ctx context.Context) error {
	if s.wal.suspect.Load() {
		s.mu.Lock()
		err := s.copyAgain(ctx)
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	begun := time.Now()
	state, err := s.wal.ask(ctx, "PASSIVE")
	if err != nil {
		return err
	}
	if state == (logState{}) { // nothing was done, or there is nothing to do
		return nil
	}
	took := time.Since(begun)
	s.wal.passes.Add(1)
	s.checkpointed(false, took)
	s.log.Debug().Dur("elapsed", took).Int64("frames", state.frames).Int64("copied", state.copied).
		Msg("checkpoint")
	s.writeOut(ctx)
	return nil
}

func (s *Store) checkpointed(paused bool, took time.Duration) {
	if s.opts.OnCheckpoint != nil {
		s.opts.OnCheckpoint(paused, took)
	}
}

// ask has the connection in the background make a checkpoint. Without a connection it does nothing.
func (w *wal) ask(ctx context.Context, mode string) (logState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil || mode != "NOOP" && w.suspect.Load() { // the writer's has failed just now
		return logState{}, nil
	}
	state, err := w.checkpoint(ctx, w.conn, mode)
	if err != nil {
		err = errors.Join(err, w.closeConn())
	}
	return state, err
}

// connect opens the connection in the background, if there is none.
func (w *wal) connect(ctx context.Context, s *Store) error {
	w.mu.Lock()
	connected := w.conn != nil
	w.mu.Unlock()
	if connected {
		return nil
	}
	// An error in writing the log may have been told to the connection that is gone, and is not told to a new one.
	if c := s.pipe.last.Load(); c != nil {
		if err := s.pipe.sync(c); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil || s.pipe.isBroken() { // the log has to be settled first
		return nil
	}
	if err := s.identity.check(); err != nil {
		return err
	}
	c, err := s.opts.open(ctx, s.path, accessRead)
	w.conn = c
	return err
}

func (w *wal) closeConn() error {
	if w.conn == nil {
		return nil
	}
	c := w.conn
	w.conn = nil
	return c.close()
}

// close gives the connection up. The next checkpoint opens it again.
func (w *wal) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closeConn()
}
