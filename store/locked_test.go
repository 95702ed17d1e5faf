package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestRead_LockedReaders holds off readers as only a file outside WAL mode allows.
func TestRead_LockedReaders(t *testing.T) {
	path, c := tempDB(t), &clock{}
	mustMake(t, path, pyCreate, "INSERT INTO agent_state (agent_id, state_json) VALUES ('a', '1')")
	s, err := store.OpenReadOnly(t.Context(), path, c.options())
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	outside := mustOutsider(t, path)
	mustExec(t, outside, "BEGIN EXCLUSIVE")
	_, err = load(t, s, "a")
	wantCode(t, err, protocol.CodeLocked)
	if attempts, _ := protocol.AsError(err).Fact(protocol.FactAttempts); attempts != "6" {
		t.Errorf("tried %s times", attempts)
	}

	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	op := must(protocol.Load("a"))
	for { // which of a free reader and an ended context is seen first is open
		_, err = s.Read(ctx, &op)
		if !errors.Is(err, protocol.CodeOverloaded) {
			break
		}
	}
	if !errors.Is(err, protocol.CodeLocked) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("at the deadline: %v", err)
	}
	c.onSleep = func(int) { mustExec(t, outside, "ROLLBACK"); c.onSleep = nil }
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("after the lock: %s, %v", r.State, err)
	}
}
