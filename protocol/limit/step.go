package limit

import (
	"context"
	"errors"
	"time"
)

// Step is the context of requests of one connection that are under way together. It is as context.WithTimeout would make
// it, but is used again for the next requests if it has not ended: a new one for each of them costs a timer, two contexts
// and their garbage. So a handler must not go by it after it has answered, which it has no reason to.
type Step struct {
	inner context.Context
	timer *time.Timer
	until time.Time
}

// NewStep makes a step within ctx, and starts its time.
func NewStep(ctx context.Context, timeout time.Duration) *Step {
	until := time.Now().Add(timeout)
	inner, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
	return &Step{inner, timer, until}
}

// Restart starts its time again, after a Stop that has returned true.
func (s *Step) Restart(timeout time.Duration) {
	s.until = time.Now().Add(timeout)
	s.timer.Reset(timeout)
}

// Stop stops its time. It reports whether the step has not ended, so that it can be started again.
func (s *Step) Stop() bool { return s.timer.Stop() && s.inner.Err() == nil }

// Deadline implements context.Context.
func (s *Step) Deadline() (time.Time, bool) { return s.until, true }

// Done implements context.Context.
func (s *Step) Done() <-chan struct{} { return s.inner.Done() }

// Err implements context.Context.
func (s *Step) Err() error {
	err := s.inner.Err()
	if err != nil && errors.Is(context.Cause(s.inner), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// Value implements context.Context. It does not give that of inner, which would pass its own error on to children.
func (s *Step) Value(any) any { return nil }

// AfterFunc is how package context learns of the end. Without it, each context made from a step would cost a goroutine.
func (s *Step) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(s.inner, f) }
