package store

import (
	"context"
	"time"
)

// fairness leaves other processes their turn. SQLite keeps no queue for its write lock: an outsider asks again after
// 1, 2, 5, … 100 ms (sqliteDefaultBusyCallback) and misses every moment in which the lock was free meanwhile. A writer
// that commits without a pause holds it nearly always. So while outsiders write, the lock stays free after a commit
// for as long as it was held: each question of theirs then finds it free about every second time, and a client that
// asks for 5 s, some 60 times, is practically never told "locked". While they merely have the file open, perhaps waiting
// for their first change, a quarter of that is enough for the same.
type fairness struct {
	outside  time.Time // when a change by an outsider was last seen
	present  bool      // an outsider had the file open when we last looked
	nextLook time.Time
	heldAt   time.Time // when the lock was last taken
	freeAt   time.Time // when it was last released
	lastHeld time.Duration
}

const (
	// outsiderMemory is how long a change by an outsider keeps the writer fair.
	outsiderMemory = time.Minute
	// lookEvery is how often the writer looks whether outsiders have the file open.
	lookEvery = 250 * time.Millisecond
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
	free := f.lastHeld
	switch {
	case f.write(now):
	case f.present:
		free /= 4
	default:
		return 0
	}
	return min(free, longestPause) - now.Sub(f.freeAt)
}

// write reports whether outsiders have changed something lately.
func (f *fairness) write(now time.Time) bool {
	return !f.outside.IsZero() && now.Sub(f.outside) <= outsiderMemory
}

// look asks, now and then, whether outsiders have the file open.
func (f *fairness) look(now time.Time, othersUse func() bool) {
	if now.Before(f.nextLook) {
		return
	}
	f.nextLook = now.Add(lookEvery)
	f.present = othersUse()
}

func (f *fairness) wait(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	if d := f.pause(time.Now()); d > 0 {
		return sleep(ctx, d)
	}
	return nil
}
