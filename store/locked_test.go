package store_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"sync"
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

// TestOpenReadOnly_BesideComingAndGoing opens the file again and again while another program opens, writes and closes it:
// as the last one, it takes the log away, and for that moment all locks. That is waited for.
func TestOpenReadOnly_BesideComingAndGoing(t *testing.T) {
	path := tempDB(t)
	mustFill(t, path, "a")
	ctx, stop := context.WithCancel(t.Context())
	var other sync.WaitGroup
	defer other.Wait()
	defer stop()
	other.Go(func() {
		for ctx.Err() == nil {
			db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw&_pragma=busy_timeout(30000)"}).String())
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = db.ExecContext(ctx, pySave, "outside", "1") // it may be interrupted at the end
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	for range 150 {
		s, err := store.OpenReadOnly(t.Context(), path, store.Options{Readers: 2,
			Retry: store.Retry{Max: 1000, Base: time.Millisecond, MaxDelay: 5 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := load(t, s, "a"); err != nil {
			t.Error(err)
		}
		mustClose(t, s)
	}
}
