package store

import (
	"context"
	"time"
)

// fairness leaves other processes their turn. SQLite keeps no queue for its write lock: an outsider asks again after
// 1, 2, 5, … 100 ms (sqliteDefaultBusyCallback) and misses every moment in which the lock was free meanwhile. A writer
// that commits without a pause holds it nearly always. So while outsiders write, the lock stays free after a commit
// for as long as it was held: each question of theirs then finds it free about every second time, and a client that
// asks for 5 s, some 60 times, is practically never told "locked".
type fairness struct {
	outside  time.Time // when a change by an outsider was last seen
	heldAt   time.Time // when the lock was last taken
	freeAt   time.Time // when it was last released
	lastHeld time.Duration
}

const (
	// outsiderMemory is how long a change by an outsider keeps the writer fair.
	outsiderMemory = time.Minute
	// longestPause lets even an outsider who asks every 100 ms come once, however long the lock was held.
	longestPause = 120 * time.Millisecond
)

func (f *fairness) locked(now time.Time)   { f.heldAt = now }
func (f *fairness) unlocked(now time.Time) { f.freeAt, f.lastHeld = now, now.Sub(f.heldAt) }
func (f *fairness) sawOutsider(now time.Time) {
	f.outside = now
}

// pause gives how long the lock has still to be left free.
func (f *fairness) pause(now time.Time) time.Duration {
	if f.outside.IsZero() || now.Sub(f.outside) > outsiderMemory {
		return 0
	}
	return min(f.lastHeld, longestPause) - now.Sub(f.freeAt)
}

func (f *fairness) wait(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	if d := f.pause(time.Now()); d > 0 {
		return sleep(ctx, d)
	}
	return nil
}
