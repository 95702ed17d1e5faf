package store

import (
	"context"
	"errors"
	"os"

	"github.com/stated/stated/protocol"
)

// settleLog makes durable what the log holds when the writer is connected. It may have been read by now, and not be on the
// disk: a program was killed in front of its sync, or a sync has failed. After the latter the system can take for clean what
// it never wrote, and later syncs do nothing (https://wiki.postgresql.org/wiki/Fsync_Errors): what is behind the gap would be
// lost with it. So all of the log is written once more, the same over the same, and synced.
//
// That happens under the write lock, so that nobody begins the log anew meanwhile.
func (s *Store) settleLog(ctx context.Context, w *writer) error {
	f, err := os.OpenFile(s.path+"-wal", os.O_RDWR, 0)
	if err != nil {
		return fileError(err)
	}
	if err = w.conn.inTransaction(ctx, func() error { return rewriteLog(ctx, w.conn, f) }); err == nil {
		err = fileError(fdatasync(f))
	}
	if err != nil || !s.pipe.on {
		return errors.Join(err, f.Close())
	}
	s.pipe.opened(f, s.identity, w.base)
	return nil
}

// rewriteLog writes again what the index of the log counts. Where the index cannot be seen it leaves that out.
func rewriteLog(ctx context.Context, c *conn, f *os.File) error {
	index := c.Index()
	if index == nil {
		return nil
	}
	header, _ := index.Header()
	if header.Frames() == 0 {
		return nil
	}
	l, err := newLogReader(f)
	if err != nil {
		return fileError(err)
	}
	if l.pageSize == 0 {
		return lostFrames(f, 0, header.Frames())
	}
	if err := l.copyHeader(f); err != nil {
		return fileError(err)
	}
	for l.frames < header.Frames() && ctx.Err() == nil {
		at := l.offset()
		if !l.next() || !l.fits {
			return errors.Join(fileError(l.err), lostFrames(f, l.frames, header.Frames()))
		}
		if _, err := f.WriteAt(l.frame, at); err != nil {
			return fileError(err)
		}
	}
	return ctx.Err()
}

func lostFrames(f *os.File, found, want int) error {
	return protocol.Errorf(protocol.CodeCorrupt, "%s: committed changes are lost: %d of %d pages can be used", f.Name(), found, want)
}
