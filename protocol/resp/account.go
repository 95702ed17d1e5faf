package resp

import (
	"context"
	"sync"

	"github.com/stated/stated/protocol/limit"
)

// account is the part of the budget that one connection holds. What it uses up to a read buffer's worth is
// free; the rest is held in steps, so that small commands do not touch the shared semaphore each time.
type account struct {
	budget *limit.Bytes

	mu   sync.Mutex
	used int // bytes of commands that were read and not yet answered
	held int // what the budget knows of them
}

func (a *account) needed() int {
	over := a.used - readBuffer
	if over <= 0 {
		return 0
	}
	return (over + growStep - 1) / growStep * growStep
}

// take adds n bytes. When the budget has no room, it calls before, then blocks until there is room, for the
// budget's timeout at most, or until ctx ends. It returns OVERLOADED if that is too short. The bytes count
// either way: give returns them.
func (a *account) take(ctx context.Context, n int, before func()) error {
	a.mu.Lock()
	a.used += n
	more := a.needed() - a.held
	a.mu.Unlock()
	if more <= 0 {
		return nil
	}
	if !a.budget.TryAcquire(more) {
		before()
		if err := a.budget.Acquire(ctx, more); err != nil {
			return err
		}
	}
	a.mu.Lock()
	a.held += more
	a.trim() // some of it may have been given while we waited
	a.mu.Unlock()
	return nil
}

// give returns n bytes.
func (a *account) give(n int) {
	a.mu.Lock()
	a.used -= n
	a.trim()
	a.mu.Unlock()
}

func (a *account) trim() {
	if excess := a.held - a.needed(); excess > 0 {
		a.held -= excess
		a.budget.Release(excess)
	}
}

// close returns everything.
func (a *account) close() {
	a.mu.Lock()
	a.used = 0
	a.trim()
	a.mu.Unlock()
}

func (a *account) usedBytes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}
