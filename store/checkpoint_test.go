package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// smallLog has a log of one MiB, the least that is allowed.
func smallLog() store.Options {
	o := impatient()
	o.WALBytes = 1 << 20
	return o
}

// fill saves agents of 16 kB each in batches of 8 and calls each after every batch, until n bytes were saved.
func fill(tb testing.TB, s *store.Store, n int, each func()) {
	tb.Helper()
	for written, agent := 0, 0; written < n; {
		var ops []protocol.Op
		// What is the same as before SQLite does not write.
		state := append(append([]byte{'"'}, bytes.Repeat([]byte{'a' + byte(agent%26)}, 16<<10)...), '"')
		for range 8 {
			ops = append(ops, must(protocol.Save(fmt.Sprint("agent", agent%64), state, protocol.Condition{})))
			agent++
			written += len(state)
		}
		mustApply(tb, s, ops...)
		each()
	}
}

func walBytes(s *store.Store) int64 { return s.Info().WALBytes }

// TestLog_Bounded: however much is written, the log stays below the mark and one batch.
func TestLog_Bounded(t *testing.T) {
	s := mustOpen(t, tempDB(t), smallLog())
	largest := int64(0)
	fill(t, s, 20<<20, func() { largest = max(largest, walBytes(s)) })
	const batch = 8 * 5 * 4200 // a state takes 5 pages and the changes around it
	if most := int64(1<<20 + 2*batch); largest > most {
		t.Errorf("the log grew to %d bytes, want at most %d", largest, most)
	}
	info := s.Info()
	if info.OutsideWrites != 0 || info.CheckpointErr != 0 || info.WALPin != nil {
		t.Errorf("%+v", info)
	}
	t.Logf("20 MiB: log at most %d bytes, %d checkpoints in the background, %d between two batches, the longest %v",
		largest, info.Checkpoints, info.WALEnded, info.LongestEnd)
}

// TestOpen_LongLog: a log that another process has kept is counted, but not so much that the writer would end it at once.
func TestOpen_LongLog(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustQuery[int](t, mustOutsider(t, path), "SELECT count(*) FROM agent_state")
	fill(t, s, 900<<10, func() {}) // less than what is cut: maintenance would count that as the mark
	mustClose(t, s)
	frames := (walBytes(s) - 32) / (4096 + 24)
	for name, o := range map[string]store.Options{"a large mark": impatient(), "a small mark": smallLog()} {
		s := mustOpen(t, path, o)
		if want := min(frames, s.LogMark()*3/4); frames < 200 || s.LogFrames() != want {
			t.Errorf("%s: %d pages of %d, not %d; the mark is %d", name, s.LogFrames(), frames, want, s.LogMark())
		}
		mustClose(t, s)
	}
}

// TestLog_Hook: every checkpoint is told of, those for which the writer paused as such.
func TestLog_Hook(t *testing.T) {
	o := smallLog()
	var mu sync.Mutex
	told, longest := map[bool]int64{}, time.Duration(0)
	o.OnCheckpoint = func(paused bool, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		told[paused]++
		if paused {
			longest = max(longest, took)
		}
	}
	path := tempDB(t)
	s := mustOpen(t, path, o)
	mustApply(t, s, save("a", "1"))
	reader := must(mustOutsider(t, path).BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true}))
	var n int
	if err := reader.QueryRowContext(t.Context(), "SELECT count(*) FROM agent_state").Scan(&n); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 5<<20, func() {}) // beyond the mark, since the reader keeps the log
	eventually(t, "a checkpoint in the background", func() bool { return s.Info().Checkpoints > 0 })
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s) // nobody makes one any more
	info := s.Info()
	if told[false] != info.Checkpoints || told[true] == 0 || told[true] < info.WALEnded || longest != info.LongestEnd {
		t.Errorf("told of %v, the longest %v; %+v", told, longest, info)
	}
}

// TestLog_BesideReaders: short reads all the time do not keep the log from ending.
func TestLog_BesideReaders(t *testing.T) {
	s := mustOpen(t, tempDB(t), smallLog())
	mustApply(t, s, save("agent0", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	for range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				if _, err := load(t, s, "agent0"); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	largest := int64(0)
	fill(t, s, 20<<20, func() { largest = max(largest, walBytes(s)) })
	cancel()
	<-done
	<-done
	if most := int64(3 << 20); largest > most {
		t.Errorf("the log grew to %d bytes, want at most %d", largest, most)
	}
	t.Logf("log at most %d bytes, %+v", largest, s.Info())
}

// TestLog_Pinned: a reader with an old snapshot keeps the log; that is told, and when it leaves the log is cut without
// anybody writing.
func TestLog_Pinned(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, smallLog())
	mustApply(t, s, save("a", "1"))
	reader := mustOutsider(t, path)
	tx, err := reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM agent_state").Scan(&n); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 5<<20, func() {})
	pin := s.Info().WALPin
	if pin == nil || pin.Since.IsZero() {
		t.Fatalf("nobody is said to keep the log of %d bytes", walBytes(s))
	}
	if len(pin.Pids) > 0 && pin.Pids[0] != os.Getpid() { // the reader is in this process; where there is /proc/locks
		t.Errorf("kept by %v, want %d", pin.Pids, os.Getpid())
	}
	if walBytes(s) < 5<<20 {
		t.Errorf("the log has %d bytes", walBytes(s))
	}
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM agent_state").Scan(&n); err != nil || n != 1 {
		t.Errorf("the reader sees %d agents, %v", n, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is cut", func() bool { return walBytes(s) <= 1<<20 && s.Info().WALPin == nil })
}

// TestLog_Outsiders: while outsiders write, the log stays so short that none of them has to make a checkpoint.
func TestLog_Outsiders(t *testing.T) {
	path := tempDB(t)
	o := smallLog()
	o.WALBytes = 64 << 20
	s := mustOpen(t, path, o)
	outsider := mustOutsider(t, path)
	mustExec(t, outsider, "PRAGMA wal_autocheckpoint=0")
	mustExec(t, outsider, pySave, "outsider", "{}")
	largest := int64(0)
	fill(t, s, 20<<20, func() { largest = max(largest, walBytes(s)) })
	if most := int64(1100 * (s.PageSize() + 24)); largest > most {
		t.Errorf("the log grew to %d bytes, want at most %d", largest, most)
	}
}

// TestLog_OutsidersAlone: outsiders that were told to make no checkpoints leave that to the store, which itself has
// nothing to do.
func TestLog_OutsidersAlone(t *testing.T) {
	path := tempDB(t)
	o := smallLog()
	o.WALBytes = 16 << 20
	s := mustOpen(t, path, o)
	outsider := mustOutsider(t, path)
	mustExec(t, outsider, "PRAGMA wal_autocheckpoint=0")
	for i := range 100 {
		mustExec(t, outsider, pySave, fmt.Sprint("outsider", i), string(bytes.Repeat([]byte{'1'}, 16<<10)))
	}
	eventually(t, "a checkpoint was made", func() bool { return s.Info().Checkpoints > 0 })
}

// TestVacuum: what was deleted is given back to the file system, in small steps, and what is there stays.
func TestVacuum(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, smallLog())
	state := string(append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, 4<<10)...), '"'))
	const agents = 3000
	for i := 0; i < agents; i += 100 {
		var ops []protocol.Op
		for j := range 100 {
			ops = append(ops, save(fmt.Sprint("agent", i+j), state))
		}
		mustApply(t, s, ops...)
	}
	var ops []protocol.Op
	for i := range agents {
		if i%10 != 0 {
			ops = append(ops, del(fmt.Sprint("agent", i)))
		}
	}
	full := int64(agents * len(state))
	eventually(t, "the agents are in the file, not in the log alone", func() bool { return s.Info().DBBytes > full*3/4 })
	mustApply(t, s, ops...)
	eventually(t, "the file has shrunk", func() bool { return s.Info().DBBytes > 0 && s.Info().DBBytes < full/4 })
	if n, err := read(t, s, must(protocol.Count(""))); err != nil || n.Count != agents/10 {
		t.Errorf("%d agents, %v", n.Count, err)
	}
	if r, err := load(t, s, "agent10"); err != nil || string(r.State) != state {
		t.Errorf("%v", err)
	}
	if info := s.Info(); info.OutsideWrites != 0 || info.Health.State != store.StateOK {
		t.Errorf("%+v", info)
	}
}
