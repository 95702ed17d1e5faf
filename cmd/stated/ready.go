package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/store"
)

// vitals tells whether the daemon lives, and whether it can do its work. Both ask for facts that are kept anyway: neither
// blocks, nor touches the disk.
type vitals struct {
	actor    interface{ Info() actor.Info }
	done     <-chan struct{} // closed when the writer is gone
	store    interface{ Health() store.Health }
	longest  time.Duration // a batch may be in hand
	stopping atomic.Bool   // the writer is meant to go
}

// longestBatch is how long the writer may have one batch in hand. It waits for the lock within a budget that has to fit into
// timeouts.request; the rest, a commit and perhaps a checkpoint, gets as much again, for a slow disk. Nobody waits for a
// reply any more by then: their requests have ended at their deadlines.
func longestBatch(request time.Duration) time.Duration { return 2 * request }

// alive gives an error when only a restart can help: the writer is gone, or hangs. A store that refuses changes is no such
// reason, since it goes on by itself or has to be repaired.
func (v *vitals) alive() error {
	select {
	case <-v.done:
		if !v.stopping.Load() {
			return errors.New("the writer is gone")
		}
	default:
	}
	if working := v.actor.Info().Working; working > v.longest {
		return fmt.Errorf("the writer has had one batch in hand for %v, longer than %v: it hangs, or the disk does",
			working.Round(time.Millisecond), v.longest)
	}
	return nil
}

// check is one condition of being ready.
type check struct {
	Name string
	Err  error // for people; nil when it holds
}

// ready gives the conditions under which the daemon takes changes, in a fixed order. A write-ahead log that a reader keeps
// from ending is none of them: changes go on, and wal_bytes tells. That the daemon is stopping the front end adds itself.
func (v *vitals) ready() []check {
	return []check{
		{"writer", v.alive()},
		{"store", v.takesChanges()},
		{"mailbox", v.hasRoom()},
	}
}

func (v *vitals) takesChanges() error {
	h := v.store.Health()
	if h.State == store.StateOK {
		return nil
	}
	return fmt.Errorf("%s: %w: %s; changes are refused since %s", h.State, h.Code, h.Reason, h.Since.UTC().Format(time.RFC3339))
}

// hasRoom looks at who waits for room, not at how full the mailbox is: a large request does not fit into the last bytes.
func (v *vitals) hasRoom() error {
	info := v.actor.Info()
	if info.Blocked == 0 {
		return nil
	}
	return fmt.Errorf("the mailbox is full: %d callers wait for room behind %d requests; there are %d bytes in it and in the writer's hands"+
		" (actor.mailbox, actor.mailbox_bytes)", info.Blocked, info.Waiting, info.WaitingBytes)
}
