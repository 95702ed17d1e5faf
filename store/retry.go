package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
)

// Retry says how often, and after which delays, an attempt that met a lock of another process is repeated:
// exponential backoff, min(Base·2ⁿ, MaxDelay), each delay changed at random by up to Jitter of itself. Other
// errors are not repeated.
type Retry struct {
	Max      int           // attempts after the first one
	Base     time.Duration // delay before the first of them
	MaxDelay time.Duration // upper bound of one delay, before jitter
	Jitter   float64       // random part of a delay, plus or minus; 0 = none, 1 = all of it

	// Sleep waits for d or until ctx ends, whose error it then returns; Now tells the time; Random gives a number in
	// [0, 1). They are there for tests; nil means the real ones.
	Sleep  func(ctx context.Context, d time.Duration) error
	Now    func() time.Time
	Random func() float64
}

// DefaultRetry is 5 retries after 0.1, 0.2, 0.4, 0.8 and 1.6 s, each plus or minus a tenth.
func DefaultRetry() Retry {
	return Retry{Max: 5, Base: 100 * time.Millisecond, MaxDelay: 5 * time.Second, Jitter: 0.1}
}

func (r Retry) isZero() bool {
	return r.Max == 0 && r.Base == 0 && r.MaxDelay == 0 && r.Jitter == 0 &&
		r.Sleep == nil && r.Now == nil && r.Random == nil
}

// delay gives the wait before retry n, which counts from 0.
func (r Retry) delay(n int) time.Duration {
	d := r.Base
	for ; n > 0 && d < r.MaxDelay; n-- {
		d *= 2
	}
	d = min(d, r.MaxDelay)
	random := rand.Float64 //nolint:gosec // spreads retries, guards nothing
	if r.Random != nil {
		random = r.Random
	}
	return d + time.Duration(float64(d)*r.Jitter*(2*random()-1))
}

func (r Retry) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r Retry) sleep(ctx context.Context, d time.Duration) error {
	if r.Sleep != nil {
		return r.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do runs attempt until it ends otherwise than by a lock, the retries are used up, or ctx ends. It logs each
// retry, and one warning when it gives up: then it returns LOCKED, with how often and how long it tried.
func (r Retry) do(ctx context.Context, log *zerolog.Logger, stats *lockStats, what string, attempt func() error) error {
	begun := r.now()
	for n := 0; ; n++ {
		err := attempt()
		if err == nil || !isLocked(err) {
			return err
		}
		elapsed := r.now().Sub(begun)
		if n >= r.Max {
			stats.gaveUp.Add(1)
			log.Warn().Err(err).Str("op", what).Int("attempt", n+1).Dur("elapsed", elapsed).
				Msg("database is locked by another process: gave up")
			return lockedError(n+1, elapsed).Because(err)
		}
		delay := r.delay(n)
		stats.retries.Add(1)
		log.Debug().Err(err).Str("op", what).Int("attempt", n+1).Dur("delay", delay).Dur("elapsed", elapsed).
			Msg("database is locked by another process: retrying")
		if err := r.sleep(ctx, delay); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return lockedError(n+1, r.now().Sub(begun)).Because(err)
			}
			return err
		}
	}
}

func lockedError(attempts int, elapsed time.Duration) *protocol.Error {
	elapsed = elapsed.Round(time.Millisecond)
	return protocol.Errorf(protocol.CodeLocked, "another process holds the database's lock: tried %d times in %v",
		attempts, elapsed).
		With(protocol.FactAttempts, strconv.Itoa(attempts)).
		With(protocol.FactElapsed, elapsed.String())
}
