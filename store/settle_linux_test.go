package store_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestSync_Fails: when a sync fails, all that was committed since the last good one is in doubt, and no read shows it. The
// store goes on by itself, with what it then knows to be durable, and gives no revision out twice.
func TestSync_Fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempDB(t)
		s := mustOpenUnchecked(t, path, durable())
		mustApply(t, s, save("old", "1"))
		release, _ := holdSyncs(s)
		_, sync1 := mustCommit(t, s, save("a", "1"))
		_, sync2 := mustCommit(t, s, save("b", "1"))
		reading := inBackground(func() error { _, err := load(t, s, "a"); return err })
		mustWait(t, "a read", reading)
		first := inBackground(sync1)
		mustWait(t, "the sync", first)
		release <- errors.New("input/output error")
		mustEnd(t, "the sync", first, protocol.CodeUnknown)
		mustEnd(t, "the read", reading, protocol.CodeIO)
		wantCode(t, sync2(), protocol.CodeUnknown)
		s.OnSync(nil)
		if r, err := load(t, s, "old"); err != nil || r.Revision != 1 {
			t.Errorf("what is durable: %+v, %v", r, err)
		}
		eventually(t, "what is in doubt was written once more", func() bool {
			_, a := load(t, s, "a")
			_, b := load(t, s, "b")
			return a == nil && b == nil
		})
		mustRecover(t, s)
		if r, err := apply1(t, s, save("c", "1")); err != nil || r.Revision < 4 {
			t.Errorf("%+v, %v", r, err)
		}
		if got := s.Info().InDoubt; got != 2 {
			t.Errorf("%d in doubt", got)
		}
	})
}

// TestSync_FailsBeside: the sync ahead fails while a batch is being committed: that one is in doubt, too.
func TestSync_FailsBeside(t *testing.T) {
	s := mustOpenUnchecked(t, tempDB(t), durable())
	release, _ := holdSyncs(s)
	_, sync1 := mustCommit(t, s, save("a", "1"))
	first := make(chan error)
	go func() { first <- sync1() }()
	s.InCommit(func() error {
		release <- errors.New("input/output error")
		wantCode(t, <-first, protocol.CodeUnknown)
		return nil
	})
	_, sync2 := mustCommit(t, s, save("b", "1"))
	s.OnSync(nil)
	wantCode(t, sync2(), protocol.CodeUnknown)
	eventually(t, "what is in doubt was written once more", func() bool {
		_, err := load(t, s, "b")
		return err == nil
	})
}

// TestSync_FailsBefore: the sync ahead fails when a batch has been applied, and not yet committed: that one is not.
func TestSync_FailsBefore(t *testing.T) {
	s := mustOpenUnchecked(t, tempDB(t), durable())
	_, sync := mustCommit(t, s, save("a", "1"))
	s.OnSync(func(func() error) error { return errors.New("input/output error") })
	b := batchOf(save("b", "1"))
	b.onTake = func(int) { wantCode(t, sync(), protocol.CodeUnknown) }
	_, _, err := s.Commit(t.Context(), b)
	wantCode(t, err, protocol.CodeIO)
	if b.release != 1 {
		t.Errorf("released %d times", b.release)
	}
	s.OnSync(nil)
	mustRecover(t, s)
	_, err = load(t, s, "b")
	wantCode(t, err, protocol.CodeNotFound)
}

// TestSync_BesideCommit: a sync covers no commit that becomes visible only after it has begun.
func TestSync_BesideCommit(t *testing.T) {
	s := mustOpen(t, tempDB(t), durable())
	syncs := 0
	s.OnSync(func(run func() error) error { syncs++; return run() })
	_, sync1 := mustCommit(t, s, save("a", "1"))
	s.InCommit(sync1)
	_, sync2 := mustCommit(t, s, save("b", "1"))
	if err := sync2(); err != nil || syncs != 2 {
		t.Errorf("%d syncs, %v", syncs, err)
	}
}

// TestSync_NoCheckpoint: after a sync that has failed no checkpoint is made until the log is settled: a new descriptor would
// not be told of the error, and what the disk does not have would be copied into the database.
func TestSync_NoCheckpoint(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, durable())
	failing := errors.New("input/output error")
	_, sync := mustCommit(t, s, save("a", "1"))
	outside := mustOutsider(t, path)
	mustExec(t, outside, "BEGIN IMMEDIATE") // keeps the log from being settled
	if err := s.CloseCheckpointConn(); err != nil {
		t.Fatal(err)
	}
	s.OnSync(func(func() error) error { return failing })
	if ok, err := s.CheckpointConn(t.Context()); ok || protocol.CodeOf(err) != protocol.CodeUnknown {
		t.Errorf("connected before the log was synced: %t, %v", ok, err)
	}
	wantCode(t, sync(), protocol.CodeUnknown)
	eventually(t, "the connection is closed", func() bool { return s.Info().Health.State != store.StateOK })
	if ok, _ := s.CheckpointConn(t.Context()); ok {
		t.Error("connected before the log was settled")
	}
	mustExec(t, outside, "ROLLBACK")
	mustRecover(t, s)
	if ok, err := s.CheckpointConn(t.Context()); !ok || err != nil {
		t.Errorf("not connected: %v", err)
	}
}

// TestSync_NoCheckpointBehind is the same where the sync fails while the maintenance goroutine waits for the writer.
func TestSync_NoCheckpointBehind(t *testing.T) {
	s := mustOpenUnchecked(t, tempDB(t), durable())
	if err := s.CloseCheckpointConn(); err != nil {
		t.Fatal(err)
	}
	connected := make(chan bool)
	s.InCommit(func() error {
		synced := make(chan struct{})
		s.OnSync(func(run func() error) error { defer close(synced); return run() })
		go func() {
			ok, _ := s.CheckpointConn(t.Context())
			connected <- ok
		}()
		<-synced // from here on it waits for the writer
		s.OnSync(func(func() error) error { return errors.New("input/output error") })
		wantCode(t, s.SyncLast(), protocol.CodeUnknown)
		return nil
	})
	_, sync := mustCommit(t, s, save("a", "1"))
	if <-connected {
		t.Error("connected before the log was settled")
	}
	s.OnSync(nil)
	wantCode(t, sync(), protocol.CodeUnknown)
	eventually(t, "what is in doubt was written once more", func() bool {
		_, err := load(t, s, "a")
		return err == nil
	})
}

// TestSync_MovedBeside: the file is moved while a sync is out and the next batch has been committed. What that sync has
// covered is durable, in the file that was moved; the next batch is not, and no read shows it.
func TestSync_MovedBeside(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, durable())
	_, sync1 := mustCommit(t, s, save("a", "1"))
	var sync2 func() error
	s.OnSync(func(run func() error) error {
		_, sync2 = mustCommit(t, s, save("b", "1"))
		if err := os.Rename(path, path+".moved"); err != nil {
			t.Error(err)
		}
		return run()
	})
	wantCode(t, sync1(), protocol.CodeUnknown)
	s.OnSync(nil)
	wantCode(t, sync2(), protocol.CodeUnknown)
	_, err := load(t, s, "b")
	wantCode(t, err, protocol.CodeIO)
	if err := os.Rename(path+".moved", path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is in doubt was written once more", func() bool {
		_, a := load(t, s, "a")
		_, b := load(t, s, "b")
		return a == nil && b == nil
	})
}

// TestCommit_Foreign: beside triggers of somebody else commits are plain.
func TestCommit_Foreign(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, durable())
	mustExec(t, mustOutsider(t, path), "CREATE TRIGGER theirs AFTER UPDATE ON agent_state BEGIN SELECT 1; END")
	if _, sync := mustCommit(t, s, save("a", "1")); sync != nil {
		t.Error("the commit is not durable")
	}
}

// TestCommit_Panics: a panic in COMMIT leaves nobody waiting behind Close.
func TestCommit_Panics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpenUnchecked(t, tempDB(t), durable())
		s.InCommit(func() error { panic("a defect") })
		func() {
			defer func() { _ = recover() }()
			mustCommit(t, s, save("a", "1"))
		}()
		reading := inBackground(func() error { _, err := s.Read(t.Context(), must1(protocol.Count(""))); return err })
		mustWait(t, "a read behind the commit", reading)
		mustClose(t, s)
		mustEnd(t, "the read", reading, protocol.CodeIO)
	})
}

// TestClose_Unsynced: what was committed is synced before the file is closed.
func TestClose_Unsynced(t *testing.T) {
	s := mustOpenUnchecked(t, tempDB(t), durable())
	syncs := 0
	s.OnSync(func(run func() error) error { syncs++; return run() })
	_, sync := mustCommit(t, s, save("a", "1"))
	mustClose(t, s)
	if err := sync(); err != nil || syncs != 1 {
		t.Errorf("%d syncs, %v", syncs, err)
	}
}

// TestOpen_SettlesLog: what a program has left in the log is written once more and synced, and nothing else is.
func TestOpen_SettlesLog(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, durable())
	mustApply(t, s, save("a", "1"), save("b", "1"))
	before, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	s.FailCommit(store.DriverError(1034, "it failed"), true) // the connection is opened anew
	_, err = s.Apply(t.Context(), batchOf(save("c", "1")))
	wantCode(t, err, protocol.CodeUnknown)
	mustRecover(t, s)
	after, err := os.ReadFile(path + "-wal")
	if err != nil || len(after) <= len(before) || string(after[:len(before)]) != string(before) {
		t.Errorf("the log has changed: %d and %d bytes, %v", len(before), len(after), err)
	}
	for _, id := range []string{"a", "b", "c"} {
		if _, err := load(t, s, id); err != nil {
			t.Error(err)
		}
	}
}

// TestMoved_LogBesideReader: the log is removed while another process reads from it. Nothing is appended behind what is gone,
// where nobody would find it: changes are refused until that read has ended.
func TestMoved_LogBesideReader(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, durable())
	mustApply(t, s, save("before", "1"))
	outside := mustOutsider(t, path)
	mustQuery[int](t, outside, "SELECT count(*) FROM agent_state")
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	s.OnSync(func(run func() error) error {
		mustExec(t, outside, "BEGIN")
		mustQuery[int](t, outside, "SELECT count(*) FROM agent_state")
		return run()
	})
	_, err := s.Apply(t.Context(), batchOf(save("doubt", "1")))
	s.OnSync(nil)
	wantCode(t, err, protocol.CodeUnknown)
	eventually(t, "changes are refused for the reader", func() bool {
		_, err := s.Apply(t.Context(), batchOf(save("early", "1")))
		wantCode(t, err, protocol.CodeUnavailable)
		return err == nil || strings.Contains(err.Error(), "another process still reads from it")
	})
	mustExec(t, outside, "COMMIT")
	mustRecover(t, s)
	mustApply(t, s, save("after", "1"))
	copied := tempDB(t) // what the next start would find, were this process killed now
	for _, ending := range []string{"", "-wal"} {
		if err := os.WriteFile(copied+ending, must(os.ReadFile(path+ending)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := mustOpen(t, copied, durable())
	for _, id := range []string{"before", "after"} {
		if _, err := load(t, again, id); err != nil {
			t.Error(err)
		}
	}
}

// TestOpen_BesideLock: another process has the write lock. The file is opened all the same, for reads at least, whether all of
// the log is in the database or not.
func TestOpen_BesideLock(t *testing.T) {
	for _, checkpointed := range []bool{false, true} {
		path := tempDB(t)
		s := mustOpenUnchecked(t, path, durable())
		mustApply(t, s, save("a", "1"))
		outside := mustOutsider(t, path) // keeps the log
		mustQuery[int](t, outside, "SELECT count(*) FROM agent_state")
		mustClose(t, s)
		mustExec(t, outside, pySave, "b", "2")
		if checkpointed {
			mustExec(t, outside, "PRAGMA wal_checkpoint(PASSIVE)")
		}
		mustExec(t, outside, "BEGIN IMMEDIATE")
		s = mustOpenUnchecked(t, path, durable())
		if r, err := load(t, s, "b"); err != nil || string(r.State) != "2" {
			t.Errorf("%q, %v", r.State, err)
		}
		mustExec(t, outside, "ROLLBACK")
		mustApply(t, s, save("c", "1"))
	}
}
