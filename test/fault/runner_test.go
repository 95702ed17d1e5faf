//go:build system

package fault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// runner lets a client take the steps of a script and says what it was told, in one line for each answer:
//
//	ack WORKER STEP REVISION...
//	fail WORKER STEP CODE
//
// What was not applied is tried again, since the store goes on by itself when the disk works again. After UNKNOWN it
// looks what the file holds, as the README advises, and goes on.
type runner struct {
	worker  int
	do      func(ctx context.Context, op protocol.Op) (protocol.Reply, error)
	between func(step) error // a step that is no change
	say     func(line string)
	known   map[string]int64
	unsure  bool // the outcome of some change is unknown
}

// tries bounds how often one step is tried: a store that does not recover is a finding.
const tries = 1_000

// run takes the steps of a script from number first on.
func (r *runner) run(ctx context.Context, first int, steps []step) error {
	if r.known == nil {
		r.known = map[string]int64{}
	}
	for i, s := range steps {
		n := first + i
		var err error
		if s.changes() {
			err = r.step(ctx, n, s)
		} else {
			err = r.between(s)
		}
		if err != nil {
			return fmt.Errorf("worker %d, step %d: %w", r.worker, n, err)
		}
	}
	return nil
}

func (r *runner) step(ctx context.Context, n int, s step) error {
	var failed error
	for range tries {
		op, err := s.op(r.known)
		if err != nil {
			return err
		}
		reply, err := r.do(ctx, op)
		if err == nil {
			r.say(fmt.Sprintf("ack %d %d %s", r.worker, n, strings.Trim(fmt.Sprint(s.note(reply, r.known)), "[]")))
			return nil
		}
		code := protocol.CodeOf(err)
		r.say(fmt.Sprintf("fail %d %d %s", r.worker, n, code))
		switch code {
		case protocol.CodeUnavailable:
			return err
		case protocol.CodeUnknown:
			r.unsure = true
			return r.settle(ctx, s)
		case protocol.CodeConflict:
			if !r.unsure {
				return fmt.Errorf("nobody else writes these agents: %w", err)
			}
			// A change in doubt, which no read has shown, may turn up when the file is opened again.
			if err := r.settle(ctx, s); err != nil {
				return err
			}
		case protocol.CodeInvalid, protocol.CodeInternal:
			return err
		}
		failed = err
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("the store does not recover: %w", failed)
}

// settle learns the revisions of the agents of a step whose outcome is unknown.
func (r *runner) settle(ctx context.Context, s step) error {
	ids := s.ids()
	if s.kind == clearAll {
		ids = nil
		for id := range r.known {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		op, err := protocol.Stat(id)
		if err != nil {
			return err
		}
		reply, err := r.do(ctx, op)
		for range tries {
			if code := protocol.CodeOf(err); err == nil || code == protocol.CodeNotFound || code == protocol.CodeUnavailable || code == protocol.CodeUnknown {
				break
			}
			if err := pause(ctx); err != nil {
				return err
			}
			reply, err = r.do(ctx, op)
		}
		if err != nil && protocol.CodeOf(err) != protocol.CodeNotFound {
			return fmt.Errorf("read %s: %w", id, err)
		}
		r.known[id] = reply.Revision
	}
	return nil
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
