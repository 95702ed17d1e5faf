package store

import (
	"context"
	"errors"
	"time"
)

// Log is what decides on checkpoints, of a store that is not open: nobody but the test makes it grow.
type Log struct{ s *Store }

// NewLog is of the database at path, with pages of 4 KiB.
func NewLog(path string, walBytes int64, d Durability) Log {
	o := Options{WALBytes: walBytes, Durability: d}
	return Log{&Store{path: path, opts: o, pageSize: 4096, wake: make(chan struct{}, 1)}}
}

// Mark is the number of pages from which on the writer ends the log.
func (l Log) Mark() int64 { return l.s.mark() }

// Grow adds pages, and reports whether a checkpoint is asked for.
func (l Log) Grow(pages int64) bool {
	l.s.grown(pages)
	return l.s.wal.wanted.Swap(false)
}

// Begin begins the log anew.
func (l Log) Begin() { l.s.begunAnew(0) }

// SawOutsider is a change by another process.
func (l Log) SawOutsider() { l.s.fair.sawOutsider(time.Now()) }

// WritesOut reports whether the database would be written out now.
func (l Log) WritesOut() bool { return l.s.writesOut() }

// LargeDB is the size of a database that is written out.
const LargeDB = largeDB

// LogFrames is how many pages the log is taken to have.
func (s *Store) LogFrames() int64 { return s.wal.frames.Load() }

// LogMark is the number of pages from which on the writer ends it.
func (s *Store) LogMark() int64 { return s.mark() }

// CheckpointNow makes a checkpoint as the maintenance goroutine does.
func (s *Store) CheckpointNow(ctx context.Context) error {
	if err := s.wal.connect(ctx, s); err != nil {
		return err
	}
	return s.checkpoint(ctx)
}

// OnWriteOut puts f in place of each write-out. It must be called before the first change.
func (s *Store) OnWriteOut(f func()) { s.wal.instead = f }

// FailCheckpoint has the next checkpoint give an error when its work is done, and calls between before the one after it, or
// at LoseNow.
func (s *Store) FailCheckpoint(err error, between func()) {
	s.wal.mu.Lock()
	defer s.wal.mu.Unlock()
	failed := false
	s.wal.around = func(mode string, run func() error) error {
		switch {
		case mode == "NOOP": // it only asks
		case failed:
			s.wal.around = nil
			between()
		default:
			failed = true
			return errors.Join(run(), err)
		}
		return run()
	}
}

// LoseNow calls what FailCheckpoint was given.
func (s *Store) LoseNow() {
	s.wal.mu.Lock()
	defer s.wal.mu.Unlock()
	_ = s.wal.around("", func() error { return nil })
}

// ShortenLog has the writer end the log at its next batch, as beside outsiders, if it has 900 pages.
func (s *Store) ShortenLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fair.sawOutsider(time.Now())
}
