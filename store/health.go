package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/stated/stated/protocol"
)

// State is a word for how a store does.
type State string

// The states of a store. In all of them it answers reads as far as the file allows.
const (
	StateOK       State = "ok"       // changes are applied
	StateDegraded State = "degraded" // changes are refused: the disk is full or fails; the store goes on by itself
	StateFailed   State = "failed"   // changes are refused: the file is damaged, or gone from its place
)

// Health is how a store does, and why.
type Health struct {
	State  State
	Code   protocol.Code // what refused changes get; empty while it is ok
	Reason string        // for people
	Since  time.Time     // when it became so
}

// health refuses changes after a failure of the file, until a probe has succeeded: a small durable transaction of the
// store's own, so that no caller's change is what finds out. Readers and Info look at it; Store.mu guards the rest.
type health struct {
	now   atomic.Pointer[Health]
	final bool          // nothing but a restart helps
	pause time.Duration // from one probe to the next; a batch that is committed ends it, not a probe, which may need less room
	next  time.Time     // when to probe
}

const (
	firstProbePause = 100 * time.Millisecond
	mostProbePause  = time.Second
)

// Health says how the store does. It never blocks, and does not touch the disk.
func (s *Store) Health() Health { return *s.health.now.Load() }

// refusal is the error of a change that was not tried; nil while the store is ok.
func (h *health) refusal() error {
	now := h.now.Load()
	if now.State == StateOK {
		return nil
	}
	return protocol.Errorf(now.Code, "%s; changes are refused since %s", now.Reason, now.Since.UTC().Format(time.RFC3339))
}

// probeIn gives how long to wait for the next probe; ok is false when there is none to come.
func (h *health) probeIn(now time.Time) (d time.Duration, ok bool) {
	if h.now.Load().State == StateOK || h.final {
		return 0, false
	}
	return h.next.Sub(now), true
}

// set enters another state, or another reason for the same, and reports whether it is news. Since is when changes were
// refused or applied first.
func (h *health) set(is Health) bool {
	was := h.now.Load()
	is.Since = was.Since
	if (was.State == StateOK) != (is.State == StateOK) {
		is.Since = time.Now()
	}
	h.now.Store(&is)
	return was.State != is.State || was.Code != is.Code
}

// judge draws the consequences of an error that concerned more than one caller's request, and gives it back.
func (s *Store) judge(err error) error {
	what := consequenceOf(err)
	if what == carryOn {
		return err
	}
	if s.health.now.Load().State == StateOK {
		s.health.next = time.Now().Add(s.health.pause)
	}
	s.health.final = s.health.final || what == giveUp
	reason := protocol.AsError(translate(err))
	is := Health{State: StateDegraded, Code: reason.Code, Reason: reason.Message}
	switch {
	case errors.Is(err, protocol.CodeUnavailable): // it is no longer in its place
		is = Health{StateFailed, protocol.CodeUnavailable, s.path + " was moved, replaced or removed while in use", is.Since}
		if reason.Code == protocol.CodeUnavailable {
			is.Reason = reason.Message
		}
	case reason.Code == protocol.CodeUnknown: // of this batch nobody knows; those after it are not begun
		is.Code, is.Reason = protocol.CodeIO, "a commit failed, and the disk has not been found to work again"
	case reason.Code == protocol.CodeCorrupt:
		is.State = StateFailed
	}
	if s.health.set(is) {
		s.log.Error().Err(err).Str("state", string(is.State)).Str("code", string(is.Code)).Int("sqlite_code", resultCode(err)).
			Msg("changes are refused")
	}
	if is.Code != protocol.CodeFull { // a connection survives a full disk
		s.closeWriter()
	}
	if err := s.wal.close(); err != nil {
		s.log.Error().Err(err).Msg("the connection for checkpoints cannot be closed cleanly")
	}
	s.nudge()
	return err
}

// judgeRead stops changes when a read has found the file damaged. A reader must not wait for the writer, so the
// store's own goroutine does it.
func (s *Store) judgeRead(err error) error {
	if consequenceOf(err) == giveUp && !s.readOnly && s.health.now.Load().State == StateOK {
		s.damage.CompareAndSwap(nil, &err)
		s.nudge()
	}
	return err
}

// admit lets a batch pass while the store is ok, and probes when it is time to.
func (s *Store) admit(ctx context.Context) error {
	if damage := s.damage.Swap(nil); damage != nil {
		_ = s.judge(*damage) // who met it has been told
	}
	if d, ok := s.health.probeIn(time.Now()); ok && d <= 0 {
		s.probeAgain(ctx)
	}
	return s.health.refusal()
}

// probeAgain probes, and enters what it finds. A lock that somebody holds tells nothing.
func (s *Store) probeAgain(ctx context.Context) {
	err := s.probe(ctx)
	h := &s.health
	h.pause = min(max(2*h.pause, firstProbePause), mostProbePause)
	h.next = time.Now().Add(h.pause)
	switch {
	case err == nil:
		since := h.now.Load().Since
		h.set(Health{State: StateOK})
		s.log.Warn().Dur("elapsed", time.Since(since)).Msg("changes are applied again")
	case isLocked(err), ctx.Err() != nil:
	default:
		_ = s.judge(err) // it is the reason from now on
	}
}

// probe changes the counter, durably. That takes a revision, which nobody gets: to write the same number again would
// not touch the disk.
func (s *Store) probe(ctx context.Context) error {
	if err := s.copyAgain(ctx); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	if _, err := s.w.setCounter.exec(background, s.w.counter+1); err != nil {
		return s.rollback(err)
	}
	s.w.counter++
	s.highest = max(s.highest, s.w.counter) // even if COMMIT fails: it may turn up after a crash
	if _, err := s.w.commit.exec(background); err != nil {
		return s.rollback(err)
	}
	if err := s.inPlace(); err != nil {
		return err
	}
	s.committed()
	return s.boundLog(ctx, "PASSIVE")
}

// open connects the writer, if a failure has closed its connection.
func (s *Store) open(ctx context.Context) error {
	if s.w != nil {
		return nil
	}
	return s.reopen(ctx)
}

// consequence is what the error of a batch means for those after it.
type consequence int

const (
	carryOn consequence = iota // nothing: a lock, a request's own error
	degrade                    // changes are refused until a probe succeeds
	giveUp                     // changes are refused until a restart
)

func consequenceOf(err error) consequence {
	if err == nil || isLocked(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return carryOn
	}
	var known *protocol.Error
	if !errors.As(err, &known) {
		return consequenceOfCode(resultCode(err))
	}
	switch known.Code {
	case protocol.CodeUnknown, protocol.CodeUnavailable, protocol.CodeFull, protocol.CodeIO, protocol.CodeCorrupt, protocol.CodeReadOnly:
		return degrade
	default:
		return carryOn
	}
}
