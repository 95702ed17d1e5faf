package store

import (
	"context"
	"time"

	"github.com/rs/zerolog"
	"github.com/stated/stated/store/sqlite"
)

// What the tests need of the inside. Everything else they do through the exported API.
var (
	IsLocked      = isLocked
	IsCallers     = isCallers
	IsNotDatabase = isNotDatabase
	Translate     = translate
	AfterCommit   = afterCommit
	ParseTime     = parseTime
	ResultCode    = resultCode
	VersioningSQL = versioningSQL
	SchemaSQL     = schemaSQL
)

// Fairness is the writer's courtesy towards outsiders, driven by hand.
type Fairness struct{ f fairness }

func (f *Fairness) Locked(now time.Time)              { f.f.locked(now) }
func (f *Fairness) Unlocked(now time.Time)            { f.f.unlocked(now) }
func (f *Fairness) SawOutsider(now time.Time)         { f.f.sawOutsider(now) }
func (f *Fairness) Look(now time.Time, others bool)   { f.f.look(now, func() bool { return others }) }
func (f *Fairness) Pause(now time.Time) time.Duration { return f.f.pause(now) }

// OthersUse reports whether outsiders have the file open.
func (s *Store) OthersUse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return othersUse(s.identity.db)
}

// Delay is the wait before retry n.
func (r Retry) Delay(n int) time.Duration { return r.delay(n) }

// Do runs attempt under the policy. It gives how often it was retried and given up.
func (r Retry) Do(ctx context.Context, log zerolog.Logger, attempt func() error) (retries, gaveUp int64, err error) {
	var stats lockStats
	err = r.do(ctx, &log, &stats, "test", attempt)
	return stats.retries.Load(), stats.gaveUp.Load(), err
}

// DriverError makes an error of SQLite.
func DriverError(code int, text string) error { return &sqlite.Error{Code: code, Message: text} }

// FailCommit makes the writer's next COMMIT give err: in its place, or after it has really committed.
func (s *Store) FailCommit(err error, committed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stmt := s.w.commit
	stmt.instead = func(run func() error) error {
		stmt.instead = nil
		if committed {
			if err := run(); err != nil {
				return err
			}
		}
		return err
	}
}

// InCommit runs f in the writer's next COMMIT, before it is made; an error of f is its error.
func (s *Store) InCommit(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stmt := s.w.commit
	stmt.instead = func(run func() error) error {
		stmt.instead = nil
		if err := f(); err != nil {
			return err
		}
		return run()
	}
}

// FailSaves makes the next n updates or inserts of a state give err.
func (s *Store) FailSaves(err error, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.update.instead = func(run func() error) error {
		if n--; n >= 0 {
			return err
		}
		return run()
	}
}

// BeforeSaves has f asked before each update or insert of a state from now on; it fails with what f gives.
func (s *Store) BeforeSaves(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stmt := range []*stmt{s.w.update, s.w.insert} {
		stmt.instead = func(run func() error) error {
			if err := f(); err != nil {
				return err
			}
			return run()
		}
	}
}

// FailProbes makes the counter's updates, and so every probe, give err on this connection; nil ends that.
func (s *Store) FailProbes(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.setCounter.instead = nil
	if err != nil {
		s.w.setCounter.instead = func(func() error) error { return err }
	}
}

// CheckpointConn connects for checkpoints in the background, and reports whether there is a connection.
func (s *Store) CheckpointConn(ctx context.Context) (bool, error) {
	err := s.wal.connect(ctx, s)
	s.wal.mu.Lock()
	defer s.wal.mu.Unlock()
	return s.wal.conn != nil, err
}

// CloseCheckpointConn closes it, as an error of a checkpoint does.
func (s *Store) CloseCheckpointConn() error { return s.wal.close() }

// SyncLast syncs the newest commit that is not durable, though it may be in the middle of being made.
func (s *Store) SyncLast() error { return s.pipe.sync(s.pipe.last.Load()) }

// OnSync puts f in place of each sync of a pipelined commit; run is what it is in place of.
func (s *Store) OnSync(f func(run func() error) error) {
	s.pipe.syncing.Lock()
	defer s.pipe.syncing.Unlock()
	s.pipe.instead = f
}

// JudgeRead is what Read does with its error.
func (s *Store) JudgeRead(err error) error { return s.judgeRead(err) }

// PageSize is the size of the file's pages.
func (s *Store) PageSize() int64 { return s.pageSize }

// HotKept is how many bytes are kept in memory for loads.
func (s *Store) HotKept() (bytes int64) {
	for i := range s.hot.shards {
		shard := &s.hot.shards[i]
		shard.mu.Lock()
		bytes += shard.bytes
		shard.mu.Unlock()
	}
	return bytes
}

// CacheShares gives the bytes of pages that the writer and each reader may keep.
func CacheShares(o Options) (writer, reader int64) {
	return o.cacheShare(accessWrite), o.cacheShare(accessRead)
}
