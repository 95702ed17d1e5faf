package store

import (
	"context"
	"database/sql/driver"
	"math"
	"time"
	"unsafe"

	"github.com/rs/zerolog"
	"modernc.org/sqlite"
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

// DriverError makes an error as the driver does, which exports no way to.
func DriverError(code int, text string) error {
	e := new(sqlite.Error)
	layout := (*struct {
		msg  string
		code int
	})(unsafe.Pointer(e))
	layout.msg, layout.code = text, code
	if e.Code() != code || e.Error() != text {
		panic("the driver's error type has changed")
	}
	return e
}

// FailCommit makes the writer's next COMMIT give err: in its place, or after it has really committed.
func (s *Store) FailCommit(err error, committed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stmt := s.w.commit
	stmt.raw = &failingStmt{Stmt: stmt.raw, stmt: stmt, err: err, committed: committed}
}

type failingStmt struct {
	driver.Stmt
	stmt      *stmt
	err       error
	committed bool
}

func (f *failingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	f.stmt.raw = f.Stmt
	if f.committed {
		if _, err := f.Stmt.(driver.StmtExecContext).ExecContext(ctx, args); err != nil {
			return nil, err
		}
	}
	return nil, f.err
}

// FailSaves makes the next n updates or inserts of a state give err.
func (s *Store) FailSaves(err error, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.update.raw = &failing{Stmt: s.w.update.raw, err: err, n: n}
}

// FailProbes makes the counter's updates, and so every probe, give err on this connection; nil ends that.
func (s *Store) FailProbes(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.w.setCounter.raw.(*failing); ok {
		s.w.setCounter.raw = f.Stmt
	}
	if err != nil {
		s.w.setCounter.raw = &failing{Stmt: s.w.setCounter.raw, err: err, n: math.MaxInt}
	}
}

type failing struct {
	driver.Stmt
	err error
	n   int
}

func (f *failing) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if f.n > 0 {
		f.n--
		return nil, f.err
	}
	return f.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// JudgeRead is what Read does with its error.
func (s *Store) JudgeRead(err error) error { return s.judgeRead(err) }

// PageSize is the size of the file's pages.
func (s *Store) PageSize() int64 { return s.pageSize }
