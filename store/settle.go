package store

import (
	"context"
	"errors"
	"os"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
)

// settleLog makes durable what the log holds when the writer is connected. It may have been read by now, and not be on the
// disk: a program was killed in front of its sync, or a sync has failed. After the latter the system can take for clean what
// it never wrote, and later syncs do nothing (https://wiki.postgresql.org/wiki/Fsync_Errors): what is behind the gap would be
// lost with it. So all of the log is written once more, the same over the same, and synced.
//
// Nobody may begin the log anew meanwhile. While some of it is not in the database, a read transaction is enough for that: no
// checkpoint gets so far beside it (sqlite3WalCheckpoint). Else it takes the write lock; should another process have that,
// the log is left as it is, since the database has everything.
func (s *Store) settleLog(ctx context.Context, w *writer) error {
	f, err := os.OpenFile(s.path+"-wal", os.O_RDWR, 0)
	if err != nil {
		return fileError(err)
	}
	done, err := s.rewriteReading(ctx, w, f)
	if err == nil && !done {
		err = w.conn.inTransaction(ctx, func() error { return rewriteLog(ctx, w.conn, f) })
		if isLocked(err) && w.conn.logIsThere(sizeOf(s.path+"-wal"), s.pageSize) {
			err = nil
		}
	}
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

// rewriteReading is rewriteLog in a read transaction, if that is enough.
func (s *Store) rewriteReading(ctx context.Context, w *writer, f *os.File) (done bool, err error) {
	if _, err := w.begin.exec(ctx); err != nil {
		return false, err
	}
	defer func() {
		if _, end := w.end.exec(background); end != nil && !isNoTransaction(end) {
			err = errors.Join(err, end)
		}
	}()
	if _, _, err := w.getCounter.Row(ctx); err != nil { // the transaction begins with a read
		return false, err
	}
	index := w.conn.Index()
	if index == nil {
		return true, nil
	}
	header, _ := index.Header()
	if again, _ := index.Header(); again != header || index.Copied() >= header.Frames() {
		return header.Frames() == 0, nil
	}
	return true, rewriteFrames(ctx, f, header.Frames(), index)
}

// logIsThere reports whether a log of size bytes is as long as its index says.
func (c *conn) logIsThere(size, pageSize int64) bool {
	index := c.Index()
	if index == nil {
		return false
	}
	header, _ := index.Header()
	return size >= logHeader+int64(header.Frames())*(frameHeader+pageSize)
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
	if header.Frames() == 0 {
		return nil
	}
	return rewriteFrames(ctx, f, header.Frames(), index)
}

func rewriteFrames(ctx context.Context, f *os.File, want int, index *sqlite.Index) error {
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
