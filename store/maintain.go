package store

import (
	"context"
	"os"
	"time"
)

// maintainEvery is how often the maintenance goroutine looks around without being asked to.
const maintainEvery = time.Second

// nudge wakes the maintenance goroutine.
func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake, or will be
	}
}

// maintain is the store's own goroutine: it probes after a failure, makes checkpoints, and gives free space back. It
// ends with ctx.
func (s *Store) maintain(ctx context.Context) {
	timer := time.NewTimer(maintainEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.maintainOnce(ctx))
	}
}

// maintainOnce does what there is to do, and gives the time until it should look again.
func (s *Store) maintainOnce(ctx context.Context) time.Duration {
	next := maintainEvery
	if d, ok := s.maintainHealth(ctx); ok {
		next = min(next, d)
	}
	if s.health.refusal() != nil {
		return max(next, time.Millisecond)
	}
	s.maintainLog(ctx)
	begun, batches := time.Now(), s.stats.batches.Load()
	if batches == s.vacuumedAt && !s.vacuuming {
		return next
	}
	s.vacuumedAt = batches
	more, err := s.vacuum()
	switch {
	case err != nil:
		s.log.Error().Err(err).Msg("free space cannot be given back")
	case more && s.stats.batches.Load() == batches:
		return time.Millisecond // nobody else wants to write
	case more:
		return max(10*time.Since(begun), 10*time.Millisecond) // a tenth of the writer's time
	}
	return next
}

// maintainHealth probes if it is time to. It gives the time until the next probe, if there is one to come.
func (s *Store) maintainHealth(ctx context.Context) (time.Duration, bool) {
	if s.health.now.Load().State == StateOK && s.damage.Load() == nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.admit(ctx) // this is nobody's change
	return s.health.probeIn(time.Now())
}

// maintainLog makes the checkpoint that was asked for, or that the changes of others call for, and cuts a log that is
// larger than it should be.
func (s *Store) maintainLog(ctx context.Context) {
	err := s.wal.connect(ctx, s)
	if err == nil {
		err = s.lookAtLog(ctx)
	}
	if err == nil && s.wal.wanted.Swap(false) {
		if err = s.checkpoint(ctx); isLocked(err) {
			s.wal.wanted.Store(true)
		}
	}
	switch {
	case ctx.Err() != nil || isLocked(err):
	case err != nil:
		s.wal.wanted.Store(true)
		s.wal.errors.Add(1)
		if !s.wal.failed {
			s.log.Error().Err(err).Int("sqlite_code", resultCode(err)).
				Msg("a checkpoint failed: nothing is lost, but the write-ahead log grows; it is tried again")
		}
		s.wal.failed = true
	case s.wal.failed:
		s.wal.failed = false
		s.log.Warn().Msg("checkpoints work again")
	}
}

// lookAtLog looks, now and then, whether the file of the log is too large, and whether outsiders have written much.
func (s *Store) lookAtLog(ctx context.Context) error {
	if time.Since(s.wal.lookedAt) < maintainEvery {
		return nil
	}
	s.wal.lookedAt = time.Now()
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return nil // the next change finds out what that means
	}
	if info.Size() > s.opts.WALBytes+s.opts.WALBytes/4 {
		if err := s.cutLog(ctx); err != nil {
			return err
		}
	}
	if info.ModTime().Equal(s.wal.written) {
		return nil
	}
	s.wal.written = info.ModTime()
	// Outsiders may have been told not to make checkpoints of their own.
	state, err := s.wal.ask(ctx, "NOOP")
	if state.frames-state.copied >= s.opts.WALBytes/(s.pageSize+frameHeader)/4 {
		s.wal.wanted.Store(true)
	}
	return err
}

// cutLog ends a log that a reader has kept from ending, and gives its space back.
func (s *Store) cutLog(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wal.frames.Store(max(s.wal.frames.Load(), s.mark()))
	err := s.boundLog(ctx, "TRUNCATE")
	if ctx.Err() != nil {
		return err
	}
	return s.judge(err)
}
