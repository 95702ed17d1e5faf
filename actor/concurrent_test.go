package actor_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

func tempDB(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "agents.db")
}

// mustStart opens a store and an actor on it; both are closed at the end of the test, and the file is checked.
func mustStart(tb testing.TB, path string, change func(*store.Options)) *actor.Actor {
	tb.Helper()
	o := store.Options{Readers: 2}
	if change != nil {
		change(&o)
	}
	s, err := store.Open(tb.Context(), path, o)
	if err != nil {
		tb.Fatal(err)
	}
	a := actor.New(s, actor.Options{MailboxBytes: 1 << 20})
	tb.Cleanup(func() {
		mustClose(tb, a)
		if err := s.Close(); err != nil {
			tb.Errorf("close the store: %v", err)
		}
		report, err := store.Check(context.Background(), path, store.Options{}, true)
		if err != nil || len(report.Problems) > 0 {
			tb.Errorf("check: %+v, %v", report, err)
		}
	})
	return a
}

// mustOutsider is another program, as patient as Python is by default.
func mustOutsider(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func mustExec(tb testing.TB, db *sql.DB, statement string, args ...any) {
	tb.Helper()
	if _, err := db.ExecContext(tb.Context(), statement, args...); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

const pySave = `INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)`

// TestConcurrentAccess: workers through the actor, and another program that writes and deletes beside them. No error,
// nothing lost.
func TestConcurrentAccess(t *testing.T) {
	path := tempDB(t)
	a := mustStart(t, path, nil)
	outside := mustOutsider(t, path)
	const workers, turns = 16, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			id := fmt.Sprint("worker", w)
			last := int64(0)
			for turn := range turns {
				state := fmt.Appendf(nil, `{"turn":%d}`, turn)
				saved, err := a.Save(t.Context(), id, state)
				if err != nil || saved.Revision <= last {
					t.Errorf("%s, turn %d: %+v, %v", id, turn, saved, err)
				}
				last = saved.Revision
				loaded, err := a.Load(t.Context(), id)
				if err != nil || string(loaded.State) != string(state) || loaded.Revision != saved.Revision {
					t.Errorf("%s, turn %d: loaded %+v, %v", id, turn, loaded, err)
				}
			}
		})
	}
	wg.Go(func() {
		for turn := range turns * 2 {
			mustExecAsync(t, outside, pySave, fmt.Sprint("outsider", turn%4), fmt.Sprintf(`{"turn": %d}`, turn))
			if turn%5 == 0 {
				mustExecAsync(t, outside, "DELETE FROM agent_state WHERE agent_id = ?", "nobody")
			}
		}
	})
	wg.Wait()
	page, err := a.List(t.Context(), "", "", 1000)
	if err != nil || len(page.Entries) != workers+4 {
		t.Fatalf("%d agents, %v", len(page.Entries), err)
	}
	seen := map[int64]bool{}
	for _, e := range page.Entries {
		if seen[e.Revision] {
			t.Errorf("revision %d was given out twice", e.Revision)
		}
		seen[e.Revision] = true
		want := fmt.Sprintf(`{"turn":%d}`, turns-1)
		if strings.HasPrefix(e.ID, "outsider") {
			continue
		}
		if r, err := a.Load(t.Context(), e.ID); err != nil || string(r.State) != want {
			t.Errorf("%s: %s, %v", e.ID, r.State, err)
		}
	}
	for i := range 4 {
		want := fmt.Sprintf(`{"turn": %d}`, turns*2-4+i)
		if r, err := a.Load(t.Context(), fmt.Sprint("outsider", i)); err != nil || string(r.State) != want {
			t.Errorf("outsider%d: %s, %v; want %s", i, r.State, err, want)
		}
	}
}

// mustExecAsync is mustExec for a goroutine that is not the test's own.
func mustExecAsync(t *testing.T, db *sql.DB, statement string, args ...any) {
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

// TestWorkers: a simulation's pool, load, think, save.
func TestWorkers(t *testing.T) {
	a := mustStart(t, tempDB(t), nil)
	const workers, turns = 64, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range turns {
				_, err := actor.Update(t.Context(), a, fmt.Sprint("agent", w), func(s *agent) error { s.Turn++; return nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for w := range workers {
		if r, err := a.Load(t.Context(), fmt.Sprint("agent", w)); err != nil || string(r.State) != fmt.Sprintf(`{"turn":%d,"mood":0}`, turns) {
			t.Errorf("agent%d: %s, %v", w, r.State, err)
		}
	}
	info := a.Info()
	if info.Requests != workers*turns || info.Batches >= info.Requests {
		t.Errorf("no batches were formed: %+v", info)
	}
	wantRoom(t, a)
}

// TestLocked_ForGood: another program takes the lock and keeps it. Every caller is told by its deadline, nothing is
// written, reads go on; and when the lock is gone, so does everything.
func TestLocked_ForGood(t *testing.T) {
	path := tempDB(t)
	a := mustStart(t, path, nil) // patience far above that of the callers
	if _, err := a.Save(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	outside := mustOutsider(t, path)
	mustExec(t, outside, "BEGIN IMMEDIATE")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := a.Save(ctx, "a", []byte("2"))
			wantCode(t, err, protocol.CodeLocked)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is no deadline", err)
			}
		})
	}
	wg.Wait()
	if r, err := a.Load(t.Context(), "a"); err != nil || string(r.State) != "1" {
		t.Errorf("%s, %v", r.State, err)
	}
	mustExec(t, outside, "ROLLBACK")
	if r, err := a.Save(t.Context(), "a", []byte("3")); err != nil || r.Revision != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	wantRoom(t, a)
}

// TestLocked_BudgetSpent: callers without a deadline are told when the retries are used up.
func TestLocked_BudgetSpent(t *testing.T) {
	path := tempDB(t)
	a := mustStart(t, path, func(o *store.Options) {
		o.LockTimeout = -1
		o.Retry = store.Retry{Max: 5, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	})
	outside := mustOutsider(t, path)
	mustExec(t, outside, "BEGIN IMMEDIATE")
	for range 3 {
		_, err := a.Save(context.Background(), "a", []byte("1"))
		wantCode(t, err, protocol.CodeLocked)
		if attempts, _ := protocol.AsError(err).Fact(protocol.FactAttempts); attempts != "6" {
			t.Errorf("%v", err)
		}
	}
	mustExec(t, outside, "ROLLBACK")
	if r, err := a.Save(t.Context(), "a", []byte("1")); err != nil || r.Revision != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	wantRoom(t, a)
}

// TestClose_WhileLocked: closing does not wait for another program's lock longer than it may.
func TestClose_WhileLocked(t *testing.T) {
	path := tempDB(t)
	a := mustStart(t, path, nil)
	outside := mustOutsider(t, path)
	mustExec(t, outside, "BEGIN IMMEDIATE")
	done := async(t.Context(), a, save("a"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = a.Close(ctx) // whether it was in time depends on whether the save had begun
	wantCode(t, <-done, protocol.CodeUnavailable)
	mustExec(t, outside, "ROLLBACK")
}
