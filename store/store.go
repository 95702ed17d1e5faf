package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/store/sqlite"
)

// Store is one open SQLite file. Its methods may be called by any number of goroutines, except that Close must be the last.
type Store struct {
	opts     Options
	log      zerolog.Logger
	path     string
	readOnly bool
	adopted  bool   // agent_state has our columns; always, except in a store that was opened for reading
	reading  access // of the read connections
	owner    *owner
	id       string
	pageSize int64

	mu       sync.Mutex // of everything that changes the file: a batch, or the maintenance between two batches
	w        *writer    // nil after a failure, until the next change or probe
	highest  int64      // the highest revision that may have been given out
	fair     fairness
	identity identity
	health   health

	hot        *hot // nil when nothing is kept in memory
	wal        wal
	pipe       pipeline
	damage     atomic.Pointer[error] // what a read or a sync has met and judge has not seen yet
	wake       chan struct{}         // of the maintenance goroutine
	vacuuming  bool                  // its own: there is free space to give back
	vacuumedAt int64                 // its own: the number of batches when it last looked
	stop       context.CancelFunc    // ends it
	maintained sync.WaitGroup

	readers   chan *reader // those that nobody uses
	opened    int          // how many there are
	closed    chan struct{}
	closeOnce sync.Once
	stats     stats
}

type lockStats struct{ retries, gaveUp atomic.Int64 }

type stats struct {
	locks                               lockStats
	outside, inDoubt, batches, requests atomic.Int64
	syncs                               atomic.Int64 // by SQLite's COMMIT
	unlisted, hot                       atomic.Int64
}

func (s *stats) committed(requests int) {
	s.batches.Add(1)
	s.requests.Add(int64(requests))
}

// Close closes the file and gives its ownership back. It waits for reads in progress. Nobody may call Apply or Commit any more.
// A second Close does nothing.
func (s *Store) Close() error {
	var errs []error
	s.closeOnce.Do(func() {
		close(s.closed)
		s.stop()
		s.maintained.Wait()
		if s.hot != nil {
			errs = append(errs, s.hot.disconnect())
		}
		errs = append(errs, s.copyBeforeClose(), s.wal.close(), s.pipe.close())
		if s.w != nil {
			errs = append(errs, s.closeLast(s.w.conn))
			s.w = nil
		}
		for ; s.opened > 0; s.opened-- {
			errs = append(errs, s.closeLast((<-s.readers).conn))
		}
		if s.owner != nil {
			errs = append(errs, s.owner.release())
			s.owner = nil
		}
	})
	return errors.Join(errs...)
}

// Info is what a store tells of itself.
type Info struct {
	Path          string
	StoreID       string // random, made with the file; another one means another history
	Adopted       bool   // the file is stated's; false for one of another program that was opened to be read
	SchemaVersion int
	SQLiteVersion string
	Durability    Durability
	WALWrites     WALWrites // what is in use
	Commits       Commits   // what is in use
	OFDLocks      bool      // open file description locks are on
	Health        Health
	DBBytes       int64 // size of the database file
	WALBytes      int64 // size of the write-ahead log
	WALPin        *Pin  // who keeps the write-ahead log from ending; nil when nobody does
	Checkpoints   int64 // made in the background
	WALEnded      int64 // times that the writer ended the log between two batches
	LongestEnd    time.Duration
	CheckpointErr int64 // checkpoints that failed
	LockRetries   int64 // times that a lock was tried again
	LockGaveUp    int64 // times that the retries were used up
	OutsideWrites int64 // transactions that found changes by other processes
	InDoubt       int64 // batches whose outcome is unknown
	Batches       int64 // committed transactions
	Requests      int64 // requests in them
	Syncs         int64 // syncs of the log that made them durable
	HotLoads      int64 // loads that were answered from memory
	Unlisted      int64 // rows of other programs that lists and scans met and left out, since no request can name them
}

// Info gives facts and counters. It never blocks.
func (s *Store) Info() Info {
	return Info{
		Path: s.path, StoreID: s.id, Adopted: s.adopted, SchemaVersion: SchemaVersion(), SQLiteVersion: SQLiteVersion,
		Durability: s.opts.Durability, WALWrites: s.opts.WALWrites, Commits: s.opts.Commits, OFDLocks: sqlite.OFDLocks(),
		Health:  s.Health(),
		DBBytes: sizeOf(s.path), WALBytes: sizeOf(s.path + "-wal"), WALPin: s.wal.pin.Load(),
		Checkpoints: s.wal.passes.Load(), WALEnded: s.wal.ended.Load(), LongestEnd: time.Duration(s.wal.longest.Load()),
		CheckpointErr: s.wal.errors.Load(),
		LockRetries:   s.stats.locks.retries.Load(), LockGaveUp: s.stats.locks.gaveUp.Load(),
		OutsideWrites: s.stats.outside.Load(), InDoubt: s.stats.inDoubt.Load(),
		Batches: s.stats.batches.Load(), Requests: s.stats.requests.Load(), Syncs: s.stats.syncs.Load() + s.pipe.syncs.Load(),
		HotLoads: s.stats.hot.Load(),
		Unlisted: s.stats.unlisted.Load(),
	}
}
