package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/stated/stated/protocol"
)

// This file deals with the file that a restore replaces.

// replaceable refuses a file that is no database, or somebody else's, unless stated once had it: then it is damaged.
func (s *Store) replaceable(ctx context.Context) error {
	_, err := s.look(ctx)
	if err == nil || isLocked(err) {
		return nil
	}
	refused := openError(s.path, err)
	switch unreadable := isNotDatabase(err) || isWrongSQL(err) || sizeOf(s.path) < smallestDB; {
	case unreadable && noteOf(s.path).store != "", protocol.CodeOf(refused) == protocol.CodeCorrupt:
		return nil
	}
	return refused
}

// emptyLog brings what is in the old file's log into the old file, and reads its counter. A file that is too much
// damaged for that is replaced as it is.
func (r *restoration) emptyLog(ctx context.Context) error {
	if r.was == nil {
		return nil
	}
	s := r.old
	err := s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "restore", func() error { return r.emptyLogOnce(ctx) })
	err = translate(err)
	if protocol.CodeOf(err) == protocol.CodeCorrupt {
		s.log.Warn().Err(err).Msg("the file that is replaced is damaged: its log and its revision counter are lost")
		r.damaged = true
		return nil
	}
	return err
}

func (r *restoration) emptyLogOnce(ctx context.Context) (err error) {
	c, err := r.durable().open(ctx, r.old.path, accessWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	row, _, err := c.row(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err != nil {
		return err
	}
	if row[0] != int64(0) {
		return inUse(r.old.path, lockHolder(r.was))
	}
	row, ok, err := c.row(ctx, "SELECT revision FROM stated_meta WHERE id = 1")
	if isWrongSQL(err) {
		return nil // it was not adopted
	}
	if err == nil && ok {
		if n, _ := row[0].(int64); n <= maxForeignRevision {
			r.counter = max(r.counter, n)
		}
	}
	return err
}

// excludeOthers keeps everybody out of the old file until the end. Somebody who has changed it since its log was emptied
// may have left a log again.
func (r *restoration) excludeOthers(ctx context.Context) error {
	if r.was == nil {
		if _, err := os.Lstat(r.old.path); !errors.Is(err, fs.ErrNotExist) {
			return protocol.Errorf(protocol.CodeUnavailable, "%s was created by somebody else meanwhile", r.old.path)
		}
		return nil
	}
	for range 3 {
		excluded, err := exclude(r.old.path)
		if err != nil {
			return err
		}
		if r.damaged || sizeOf(r.old.path+"-wal") == 0 {
			r.excluded = excluded
			return nil
		}
		if err := excluded.Close(); err != nil {
			return fileError(err)
		}
		if err := r.emptyLog(ctx); err != nil {
			return err
		}
	}
	return inUse(r.old.path, 0)
}

// retire deals with programs that have opened the old file since others were excluded, and wait for its lock. They would
// find the log of the new file beside the old one, since it goes by the name, and bring the pages of one into the other.
// So it blocks until they have let go of it; and what they find, should they not, is no database. The new file is in its
// place by now.
func (r *restoration) retire(ctx context.Context) error {
	log := r.old.log.With().Str("path", r.old.path).Logger()
	if err := r.old.owner.holds(r.result.StoreID); err != nil {
		log.Warn().Err(err).Msg("the owner file cannot be written")
	}
	if r.excluded == nil {
		return nil
	}
	if _, err := r.excluded.WriteAt(make([]byte, 100), 0); err != nil { // the header of a database
		log.Warn().Err(err).Msg("the old file cannot be made unusable")
	}
	for told := 0; ; {
		pid := opener(r.old.path, r.excluded)
		if pid == 0 {
			return nil
		}
		if pid != told {
			log.Warn().Int("pid", pid).Msg("the new file is in its place; waiting for a process that has opened the old one meanwhile to close it")
			told = pid
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return protocol.Errorf(protocol.CodeUnavailable, "%s is restored, but process %d has opened the old file meanwhile: end it"+
				" before anything else uses the new one, which it would damage", r.old.path, pid).Because(err)
		}
	}
}

// give gives a file the owner of another one.
func give(path string, like os.FileInfo) error {
	want, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fileError(err)
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && is.Uid == want.Uid && is.Gid == want.Gid {
		return nil
	}
	if err := os.Chown(path, int(want.Uid), int(want.Gid)); err != nil {
		return protocol.Errorf(protocol.CodeReadOnly,
			"the file that is replaced belongs to user %d, group %d: run this as that user or as root", want.Uid, want.Gid).Because(err)
	}
	return nil
}
