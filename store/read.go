package store

import (
	"context"
	"errors"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
)

// SQLiteVersion is the version of the SQLite that is linked in.
const SQLiteVersion = sqlite.Version

// Read performs an operation that changes nothing: load, stat, list, scan, count, or a transaction of load, stat and
// check. It sees every change that was reported before it began, and none of ours that a crash can take back. It blocks until
// a read connection is free, while another process keeps readers out, within the retry budget, and until what it saw is
// durable; all at most until ctx ends.
func (s *Store) Read(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	read := s.readFile
	if s.hot != nil && op.Kind() == protocol.KindLoad {
		read = s.loadHot
	}
	reply, err := read(ctx, op)
	return s.whenDurable(ctx, op, reply, err)
}

// readFile is Read by a read connection.
func (s *Store) readFile(ctx context.Context, op *protocol.Op) (reply protocol.Reply, err error) {
	select {
	case r := <-s.readers:
		defer func() { s.readers <- r }()
		if r.conn == nil {
			opened, err := s.openReader(ctx)
			if err != nil {
				return protocol.Reply{}, translate(err)
			}
			r = opened
		}
		reply, err = s.read(ctx, r, op)
		if r.unlisted > 0 {
			s.stats.unlisted.Add(r.unlisted)
		}
		return reply, translate(s.judgeRead(err))
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
	begun := s.opts.Retry.now()
	reply, err := r.do(first, op)
	if !isLocked(err) {
		return reply, err
	}
	r.conn.SetLockTimeout(s.opts.LockTimeout)
	defer r.conn.SetLockTimeout(0)
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, op.Kind().String(), func() (err error) {
		reply, err = r.do(ctx, op)
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) && protocol.CodeOf(err) != protocol.CodeLocked {
		err = lockedError(1, s.opts.Retry.now().Sub(begun)).Because(err)
	}
	return reply, err
}

func (s *Store) openReaders(ctx context.Context) error {
	for s.opened < cap(s.readers) {
		r, err := s.openReader(ctx)
		if err != nil {
			return err
		}
		s.readers <- r
		s.opened++
	}
	return nil
}

// openReader connects a reader, and tries again while another process keeps readers out.
func (s *Store) openReader(ctx context.Context) (r *reader, err error) {
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "open", func() error {
		c, err := s.opts.open(ctx, s.path, s.reading)
		if err != nil {
			return err
		}
		if r, err = newReader(c, s.adopted, s.opts.ReplyBytes); err != nil {
			return errors.Join(err, c.close())
		}
		return nil
	})
	return r, err
}

// closeReaders closes all read connections, each as soon as its read has ended. The next reads open new ones.
func (s *Store) closeReaders() {
	for range s.opened {
		r := <-s.readers
		if err := r.close(); err != nil {
			s.log.Error().Err(err).Msg("a read connection cannot be closed cleanly")
		}
		defer func() { s.readers <- &reader{} }()
	}
}

// holdReaders takes the read connections out of use, as many as are free in time.
func (s *Store) holdReaders(wait time.Duration) (held []*reader) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for len(held) < s.opened {
		select {
		case r := <-s.readers:
			held = append(held, r)
		case <-timer.C:
			return held
		}
	}
	return held
}

func (s *Store) letReaders(held []*reader) {
	for _, r := range held {
		s.readers <- r
	}
}

func (r *reader) close() error {
	if r.conn == nil {
		return nil
	}
	return r.conn.close()
}
