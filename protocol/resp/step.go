package resp

import (
	"context"
	"sync/atomic"
	"time"
)

// step is the context of requests that are under way together. It is as context.WithTimeout would make it, but is used
// again for the next requests if its time was not up: a new one for each of them costs more than the rest of what the
// server does. So a handler must not go by it after it has answered, which it has no reason to.
type step struct {
	inner  context.Context
	cancel context.CancelFunc
	timer  *time.Timer
	until  time.Time
	late   atomic.Bool
}

// newStep makes a step within ctx, and starts its time.
func newStep(ctx context.Context, timeout time.Duration) *step {
	s := &step{until: time.Now().Add(timeout)}
	s.inner, s.cancel = context.WithCancel(ctx)
	s.timer = time.AfterFunc(timeout, func() {
		s.late.Store(true)
		s.cancel()
	})
	return s
}

// restart starts its time again, after a stop that has returned true.
func (s *step) restart(timeout time.Duration) {
	s.until = time.Now().Add(timeout)
	s.timer.Reset(timeout)
}

// stop reports whether the time was not up, so that the step can be started again.
func (s *step) stop() bool { return s.timer.Stop() }

// Deadline implements context.Context.
func (s *step) Deadline() (time.Time, bool) { return s.until, true }

// Done implements context.Context.
func (s *step) Done() <-chan struct{} { return s.inner.Done() }

// Err implements context.Context.
func (s *step) Err() error {
	err := s.inner.Err()
	if err != nil && s.late.Load() {
		return context.DeadlineExceeded
	}
	return err
}

// Value implements context.Context. It does not give that of inner, which would pass its own error on to children.
func (s *step) Value(any) any { return nil }
