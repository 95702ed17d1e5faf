package resp

import (
	"context"
	"sync"
)

// turns says whether a goroutine is performing commands of a connection. There is one at most; a run that comes
// meanwhile waits, and the reader with the one after that.
type turns struct {
	mu      sync.Mutex
	taken   bool
	ended   bool       // nothing comes behind what waits
	waiting []*command // the run that is next
	room    chan struct{}
}

// offer gives a run away; last says that none comes behind it. If the turn is free, the caller has it now and is to
// perform the run. Else whoever has it will, and offer blocks until there is no other run in front, or ctx ends.
func (t *turns) offer(ctx context.Context, run []*command, last bool) (mine bool, err error) {
	for {
		t.mu.Lock()
		if !t.taken || t.waiting == nil || len(run) == 0 {
			mine = !t.taken
			if !mine && len(run) > 0 {
				t.waiting = run
			}
			t.taken, t.ended = true, last
			t.mu.Unlock()
			return mine, nil
		}
		t.mu.Unlock()
		select {
		case <-t.room:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// more gives the run that waits, if there is one, to the goroutine that has the turn.
func (t *turns) more() []*command {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pop()
}

// next is more for a goroutine that has nothing left to do: without a run, its turn ends. That was the last one if
// the input has ended.
func (t *turns) next() (run []*command, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if run = t.pop(); run == nil && !t.ended {
		t.taken = false
	}
	return run, t.ended
}

func (t *turns) pop() []*command {
	run := t.waiting
	if run == nil {
		return nil
	}
	t.waiting = nil
	select {
	case t.room <- struct{}{}:
	default: // the reader has not taken notice of the last time
	}
	return run
}
