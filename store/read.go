package store

import (
	"context"
	"errors"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stated/stated/protocol"
)

// SQLiteVersion is the version of the SQLite that is linked in.
const SQLiteVersion = sqlite3.SQLITE_VERSION

// Read performs an operation that changes nothing: load, stat, list, scan, count, or a transaction of load, stat and
// check. It sees every change that Apply has reported before it began. It blocks until a read connection is free,
// and while another process keeps readers out, within the retry budget; both at most until ctx ends.
func (s *Store) Read(ctx context.Context, op *protocol.Op) (reply protocol.Reply, err error) {
	select {
	case r := <-s.readers:
		defer func() { s.readers <- r }()
		reply, err = s.read(ctx, r, op)
		return reply, translate(err)
	case <-s.closed:
		return protocol.Reply{}, protocol.Errorf(protocol.CodeUnavailable, "the store is closed")
	case <-ctx.Done():
		return protocol.Reply{}, protocol.Errorf(protocol.CodeOverloaded, "no read connection was free in time").Because(ctx.Err())
	}
}

func (s *Store) read(ctx context.Context, r *reader, op *protocol.Op) (protocol.Reply, error) {
	// Reading one agent takes microseconds; watching a context costs as much. So that is left out, unless the read
	// can take long or turns out to have to wait.
	first := context.Background()
	switch op.Kind() {
	case protocol.KindLoad, protocol.KindStat:
	default:
		first = ctx
	}
	reply, err := r.do(first, op)
	if !isLocked(err) {
		return reply, err
	}
	if err := r.conn.exec(background, lockTimeoutPragma(s.opts.LockTimeout)); err != nil {
		return protocol.Reply{}, err
	}
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, op.Kind().String(), func() (err error) {
		reply, err = r.do(ctx, op)
		return err
	})
	return reply, errors.Join(err, r.conn.exec(background, lockTimeoutPragma(0)))
}

func (s *Store) openReaders(ctx context.Context) error {
	for range cap(s.readers) {
		c, err := s.opts.open(ctx, s.path, accessRead)
		if err != nil {
			return err
		}
		r, err := newReader(c, s.adopted, s.opts.ReplyBytes)
		if err != nil {
			return errors.Join(err, c.close())
		}
		s.readers <- r
		s.opened++
	}
	return nil
}
