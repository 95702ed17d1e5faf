package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stated/stated/protocol"
)

// Apply is Commit, and waits until the batch is durable.
func (s *Store) Apply(ctx context.Context, batch protocol.Batch) ([]protocol.Reply, error) {
	replies, sync, err := s.Commit(ctx, batch)
	if err == nil && sync != nil {
		err = sync()
	}
	if err != nil {
		return nil, err
	}
	return replies, nil
}

// Commit performs a batch in one transaction and gives a reply to each operation that the batch's last Take gave, in order.
// An operation that fails by itself (a condition, a constraint) has its error in its reply, and its neighbours are applied.
//
// No reply may be given away before sync has returned: it blocks until a crash can take back neither the batch nor anything
// that it has seen, and gives UNKNOWN when that may happen. It is nil when all of that is durable already, and always with
// CommitsPlain. It may be called by another goroutine, while the next batch is committed; it must be called, and until then
// reads of what the batch has changed, lists and transactions block.
//
// Commit blocks while other processes hold the lock, within the retry budget or until ctx ends; ctx does not interrupt a
// transaction that has begun. An error concerns the whole batch and says by its code whether it was not applied
// (LOCKED, FULL, IO, CORRUPT, READONLY, UNAVAILABLE, INVALID) or whether that is UNKNOWN. One goroutine may call it
// at a time.
func (s *Store) Commit(ctx context.Context, batch protocol.Batch) (replies []protocol.Reply, sync func() error, err error) {
	if s.readOnly {
		return nil, nil, protocol.Errorf(protocol.CodeReadOnly, "%s was opened for reading", s.path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(ctx); err != nil {
		return nil, nil, err
	}
	s.pipe.makeRoom()
	s.fair.look(time.Now(), func() bool { return othersUse(s.identity.db) })
	if err := s.fair.wait(ctx, sleep); err != nil {
		return nil, nil, ended(ctx, err)
	}
	if err := s.boundLog(ctx, "RESTART"); err != nil {
		return nil, nil, ended(ctx, s.judge(err))
	}
	attempt := 0
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "apply", func() (err error) {
		attempt++
		replies, err = s.attempt(ctx, batch, attempt)
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = s.judge(err)
	}
	if c := s.pipe.last.Load(); c != nil && err == nil && len(replies) > 0 {
		sync = func() error { return s.sync(c) }
	}
	return replies, sync, ended(ctx, err)
}

// ended gives an error as the vocabulary has it. The context of Apply is the writer's own: when it ends, the store is
// being shut down.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return protocol.Errorf(protocol.CodeUnavailable, "shutting down").Because(err)
	}
	return translate(err)
}

// attempt tries the batch once. It gives SQLite's own error for a lock, so that it is tried again.
func (s *Store) attempt(ctx context.Context, batch protocol.Batch, number int) ([]protocol.Reply, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	batch.Asking(number)
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	defer func() { s.fair.unlocked(time.Now()) }()
	ops := batch.Take()
	if len(ops) == 0 {
		return nil, s.rollback(nil)
	}
	replies, err := s.perform(s.w, ops)
	if err != nil {
		err = s.rollback(err)
		batch.Release()
		return nil, err
	}
	if s.hot != nil {
		s.hot.committing()
	}
	if err := s.commit(batch, ops); err != nil {
		return nil, err
	}
	s.committed()
	s.renewHot(ops, replies)
	s.health.pause = 0
	s.stats.committed(len(ops))
	return replies, nil
}

// commit makes the transaction visible, and durable too unless commits are pipelined. Where nothing was changed there is
// nothing to sync. A trigger of somebody else may change a row and leave its revision, by which reads tell what is durable.
func (s *Store) commit(batch protocol.Batch, ops []*protocol.Op) error {
	if !s.pipe.on || s.w.foreign || s.w.counter == s.w.base {
		if _, err := s.w.commit.run(); err != nil {
			return s.commitFailed(batch, err)
		}
		if s.opts.Durability == DurabilityFull && s.w.counter != s.w.base {
			s.stats.syncs.Add(1)
		}
		return s.inPlace()
	}
	c, err := s.pipe.begin(s.w.counter, slices.ContainsFunc(ops, removes))
	if err != nil {
		if s.hot != nil {
			s.hot.forget()
		}
		err = s.rollback(err)
		batch.Release()
		return err
	}
	if err := s.commitUnsynced(); err != nil {
		s.pipe.withdraw(c)
		return s.commitFailed(batch, err)
	}
	s.pipe.committed(c)
	return nil
}

// removes reports whether an operation may remove agents.
func removes(op *protocol.Op) bool {
	switch op.Kind() {
	case protocol.KindDelete, protocol.KindClear:
		return true
	}
	for i := range op.Ops() {
		if removes(&op.Ops()[i]) {
			return true
		}
	}
	return false
}

func (s *Store) commitUnsynced() error {
	conn := s.w.conn
	conn.LeaveSync(true)
	defer conn.LeaveSync(false)
	_, err := s.w.commit.run()
	return err
}

// lock begins a transaction that may write, and learns what other processes have done since the last one.
func (s *Store) lock(ctx context.Context) error {
	if _, err := s.w.beginImmediate.run(); err != nil {
		return s.rollback(err)
	}
	s.fair.locked(time.Now())
	if s.hot != nil {
		s.hot.locked()
	}
	outside, err := s.w.catchUp(ctx, s.path, s.highest)
	err = unfit(err)
	if err != nil {
		s.fair.unlocked(time.Now())
		return s.rollback(err)
	}
	if outside {
		s.stats.outside.Add(1)
		s.fair.sawOutsider(time.Now())
	}
	return nil
}

// unfit gives the error of a file that does not fit any more as one of the store: the requests do fit.
func unfit(err error) error {
	if protocol.CodeOf(err) == protocol.CodeInvalid {
		return protocol.Errorf(protocol.CodeUnavailable, "%s", protocol.AsError(err).Message).Because(err)
	}
	return err
}

// committed notes what a transaction of ours has left behind.
func (s *Store) committed() {
	s.w.base, s.highest = s.w.counter, max(s.highest, s.w.counter)
	s.grown(s.w.conn.PagesWritten())
}

// perform applies the operations and writes the counter that they moved.
func (s *Store) perform(w *writer, ops []*protocol.Op) ([]protocol.Reply, error) {
	w.setTime(s.opts.Now())
	replies := make([]protocol.Reply, len(ops))
	if err := w.doAll(ops, replies); err != nil {
		return nil, err
	}
	if w.counter == w.base {
		return replies, nil
	}
	n, err := w.setCounter.exec(background, w.counter)
	if err == nil && n != 1 {
		err = lostRow(s.path)
	}
	return replies, err
}

// isOps reports whether an error is one operation's own: an answer in the vocabulary, or a statement that SQLite has
// undone alone.
func isOps(err error) bool {
	var e *protocol.Error
	return errors.As(err, &e) || isCallers(err)
}

// rollback ends the transaction without a trace and gives the error that was the reason. A connection that cannot even
// roll back is closed, which does it.
func (s *Store) rollback(reason error) error {
	if _, err := s.w.end.exec(background); err != nil && !isNoTransaction(err) {
		s.log.Error().Err(err).Msg("rollback failed: the connection is opened anew")
		s.closeWriter()
	}
	return reason
}

// commitFailed deals with a COMMIT that gave an error.
func (s *Store) commitFailed(batch protocol.Batch, err error) error {
	if s.hot != nil {
		s.hot.forget()
	}
	failed := afterCommit(err)
	if isLocked(err) || protocol.CodeOf(failed) != protocol.CodeUnknown {
		reason := failed
		if isLocked(err) {
			reason = err
		}
		reason = s.rollback(reason)
		batch.Release()
		return reason
	}
	// The revisions of this batch may turn up after a crash: they are not given out again.
	s.highest = max(s.highest, s.w.counter)
	s.stats.inDoubt.Add(1)
	s.log.Error().Err(err).Int("sqlite_code", resultCode(err)).Msg("commit failed, outcome unknown: the file is opened anew")
	s.closeWriter()
	return failed
}

// inPlace looks whether what was committed, and synced, is worth something: see pipeline.persist.
func (s *Store) inPlace() error {
	err := s.identity.check()
	switch {
	case err != nil:
		err = movedAway(err)
	case readOnlyFileSystem(s.path):
		err = errBecameReadOnly()
	default:
		return nil
	}
	s.highest = max(s.highest, s.w.counter)
	s.stats.inDoubt.Add(1)
	s.log.Error().Err(err).Msg("what was committed may be lost")
	s.closeWriter()
	return err
}

// movedAway is the error of a commit after which a file was no longer where it should be.
func movedAway(err error) error {
	return protocol.Errorf(protocol.CodeUnknown, "the change went into a file that is no longer in its place").Because(err)
}

func errBecameReadOnly() error {
	return protocol.Errorf(protocol.CodeUnknown, "the file system became read-only while the change was being committed")
}

// closeWriter gives the writer's connection up. The next batch opens it again.
func (s *Store) closeWriter() {
	if s.w == nil {
		return
	}
	s.forgetHot()
	if err := s.pipe.close(); err != nil {
		s.log.Error().Err(err).Msg("the log cannot be closed cleanly")
	}
	if s.identity.logIsGone() {
		// This connection still has the log, maybe as the last one: what is in it belongs into the database.
		if err := s.w.conn.exec(background, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			s.log.Error().Err(err).Msg("the log that was removed cannot be brought into the database")
		}
	}
	if err := s.w.conn.close(); err != nil {
		s.log.Error().Err(err).Msg("the writer's connection cannot be closed cleanly")
	}
	s.w = nil
}

// reopen connects the writer again after a failure, if the file is still the one that was opened.
func (s *Store) reopen(ctx context.Context) error {
	if err := s.identity.checkDB(); err != nil {
		return err
	}
	switch err := s.identity.check(); {
	case err == nil:
	case s.identity.logIsGone():
		// The readers still have the old log, beside which no new one can be used; the last of them to be closed brings
		// what is in it into the database.
		s.closeReaders()
	default:
		return err // another process writes into a log of its own: bringing in ours would mix two histories
	}
	if err := s.openWriter(ctx); err != nil {
		return fmt.Errorf("open %s anew: %w", s.path, unfit(err))
	}
	if err := s.connectHot(ctx); err != nil {
		s.log.Warn().Err(err).Msg("no states are kept in memory until the file is opened anew")
	}
	s.log.Warn().Str("path", s.path).Msg("the file was opened anew")
	return nil
}

func sleep(ctx context.Context, d time.Duration) error { return Retry{}.sleep(ctx, d) }
