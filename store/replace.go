package store

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/stated/stated/protocol"
)

// This file deals with the file that a restore replaces.

// replaceable refuses a file that is no database, or somebody else's, unless stated once had it: then it is damaged.
func (s *Store) replaceable(ctx context.Context) error {
	_, err := s.look(ctx)
	if err == nil || isLocked(err) {
		return nil
	}
	err = openError(s.path, err)
	switch protocol.CodeOf(err) {
	case protocol.CodeCorrupt:
		return nil
	case protocol.CodeInvalid:
		if _, missing := os.Stat(ownerPath(s.path)); missing == nil {
			return nil
		}
	}
	return err
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
