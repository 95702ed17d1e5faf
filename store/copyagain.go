package store

import (
	"context"
	"errors"
)

// This file makes a failed checkpoint good. After a sync of the database that failed, the system may have thrown away what it
// could not write, and say of the next sync that all is well (https://wiki.postgresql.org/wiki/Fsync_Errors). That may be pages
// of earlier checkpoints: beside a busy writer SQLite syncs none of them, and counts them as copied all the same. It would not
// copy them again, and begin the log anew, which alone still has them.
//
// So after any failure the whole log is copied once more, before anything else is made of it. Should the process be killed
// before, whoever opens the file first finds out for himself how much there is to copy, and copies everything. Where another
// process has kept the file open the count is still there, and Open does not believe it.

// checkpoint makes one, and notes when it fails. wal.mu must be held.
func (w *wal) checkpoint(ctx context.Context, c *conn, mode string) (state logState, err error) {
	run := func() (err error) {
		state, err = c.checkpoint(ctx, mode)
		return err
	}
	if w.around != nil {
		err = w.around(mode, run)
	} else {
		err = run()
	}
	if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) { // it was not only interrupted
		w.suspect.Store(true)
	}
	return state, err
}

// copyAgain has the next checkpoint begin with the first page of the log, if one has failed. Store.mu must be held, between two
// transactions.
func (s *Store) copyAgain(ctx context.Context) error {
	s.wal.mu.Lock() // a checkpoint that is under way would say in the end how much it has copied
	defer s.wal.mu.Unlock()
	return s.copyAgainLocked(ctx)
}

// copyAgainLocked is copyAgain with wal.mu held.
func (s *Store) copyAgainLocked(ctx context.Context) error {
	if !s.wal.suspect.Load() {
		return nil
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	index := s.w.conn.Index()
	if index == nil { // where it cannot be seen, SQLite goes on as it does
		s.wal.suspect.Store(false)
		return nil
	}
	err := s.w.conn.inTransaction(ctx, func() error {
		// Of a log that was removed nothing can be copied, and that all of it was is why the next commit begins it anew.
		if s.w.conn.logIsThere(sizeOf(s.path+"-wal"), s.pageSize) {
			index.ForgetCopied()
		}
		return nil
	})
	if err == nil {
		s.wal.suspect.Store(false)
	}
	return err
}

// copyUnseen has copied again what was copied of the log before this store came.
func (s *Store) copyUnseen(ctx context.Context) error {
	if index := s.w.conn.Index(); index == nil || index.Copied() == 0 {
		return nil
	}
	s.wal.suspect.Store(true)
	if err := s.copyAgain(ctx); !isLocked(err) {
		return err
	}
	return nil // the next checkpoint does it
}

// copyBeforeClose makes a failed checkpoint good as far as it can be: the last connection copies all of the log, or another
// process does that has the file open.
func (s *Store) copyBeforeClose() error {
	if s.w == nil {
		return nil
	}
	if err := s.copyAgain(background); !isLocked(err) {
		return err
	}
	return nil // closeLast heeds what is left to be done
}

// closeLast closes one of the last connections. The very last makes a checkpoint and removes the log: not after a failure, so
// that whoever opens the file next copies all of it.
func (s *Store) closeLast(c *conn) error {
	if c == nil { // it could not be opened anew
		return nil
	}
	var err error
	if s.wal.suspect.Load() {
		err = c.KeepLog()
	}
	return errors.Join(err, c.close())
}
