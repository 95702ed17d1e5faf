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
	err = w.conn.inTransaction(ctx, func() error { return rewriteLog(ctx, w.conn, f) })
	if errors.Is(err, errLogGone) {
		err = restartLog(ctx, w.conn)
	}
	if err == nil {
		err = fileError(fdatasync(f))
	}
	if err != nil || !s.pipe.on {
		return errors.Join(err, f.Close())
	}
	s.pipe.opened(f, s.identity, w.base)
	return nil
}

// errLogGone says that the log does not have what its index counts, and that all of that is in the database.
var errLogGone = errors.New("the log was removed, and is needed no more")

// rewriteLog writes again what the index of the log counts. Where the index cannot be seen it leaves that out.
func rewriteLog(ctx context.Context, c *conn, f *os.File) error {
	index := c.Index()
	if index == nil {
		return nil
	}
	header, _ := index.Header()
	want := header.Frames()
	if want == 0 {
		return nil
	}
	l, err := newLogReader(f)
	if err == nil && l.pageSize > 0 {
		err = l.copyHeader(f)
	}
	for err == nil && l.pageSize > 0 && l.frames < want && ctx.Err() == nil {
		at := l.offset()
		if !l.next() || !l.fits {
			break
		}
		_, err = f.WriteAt(l.frame, at)
	}
	switch {
	case err != nil, ctx.Err() != nil:
		return errors.Join(fileError(err), ctx.Err())
	case l.err != nil:
		return fileError(l.err)
	case l.pageSize > 0 && l.frames == want && l.fits:
		return nil
	case index.Copied() == want:
		return errLogGone
	}
	return protocol.Errorf(protocol.CodeCorrupt, "%s: committed changes are lost: not all of its %d pages can be used", f.Name(), want)
}

// restartLog has the next commit begin the log anew. Behind pages that are gone nothing would be found after a crash.
func restartLog(ctx context.Context, c *conn) error {
	state, err := c.checkpoint(ctx, "RESTART")
	if err == nil && state.busy {
		err = protocol.Errorf(protocol.CodeUnavailable, "the write-ahead log was removed, and another process still reads from it: end that one")
	}
	return err
}
