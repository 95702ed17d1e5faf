package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// durable is impatient, with commits that are synced, pipelined.
func durable() store.Options {
	o := impatient()
	o.Durability = store.DurabilityFull
	return o
}

// mustCommit commits the operations in one batch, and does not wait until that is durable.
func mustCommit(tb testing.TB, s *store.Store, ops ...protocol.Op) (replies []protocol.Reply, sync func() error) {
	tb.Helper()
	replies, sync, err := s.Commit(tb.Context(), batchOf(ops...))
	if err != nil {
		tb.Fatalf("commit: %v", err)
	}
	return replies, sync
}

// holdSyncs makes each sync wait for an outcome, nil to really sync. How many have begun is told.
func holdSyncs(s *store.Store) (outcome chan<- error, begun func() int) {
	outcomes, n := make(chan error), 0
	s.OnSync(func(run func() error) error {
		n++
		if err := <-outcomes; err != nil {
			return err
		}
		return run()
	})
	return outcomes, func() int { return n }
}

// inBackground runs f; done tells whether it has ended, and how.
func inBackground(f func() error) (done func() (bool, error)) {
	result := make(chan error, 1)
	go func() { result <- f() }()
	return func() (bool, error) {
		synctest.Wait()
		select {
		case err := <-result:
			return true, err
		default:
			return false, nil
		}
	}
}

func mustWait(t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	if ended, err := done(); ended {
		t.Errorf("%s did not wait (%v)", what, err)
	}
}

func mustEnd(t *testing.T, what string, done func() (bool, error), want protocol.Code) {
	t.Helper()
	ended, err := done()
	if !ended {
		t.Errorf("%s still waits", what)
	}
	if got := protocol.CodeOf(err); got != want {
		t.Errorf("%s gives %v, want %q", what, err, want)
	}
}

// TestCommit_Sync: a batch is committed while the one before is being synced, and one sync covers all that were committed
// when it began.
func TestCommit_Sync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempDB(t)
		s := mustOpenUnchecked(t, path, durable())
		if got := s.Info().Commits; got != store.CommitsPipelined {
			t.Fatalf("commits are %s", got)
		}
		release, begun := holdSyncs(s)
		_, sync1 := mustCommit(t, s, save("a", "1"))
		first := inBackground(sync1)
		mustWait(t, "the first sync", first)
		replies, sync2 := mustCommit(t, s, save("b", "1"))
		if replies[0].Revision != 2 {
			t.Errorf("%+v", replies)
		}
		release <- nil
		mustEnd(t, "the first sync", first, "")
		second := inBackground(sync2)
		mustWait(t, "the second sync, which the first does not cover", second)
		release <- nil
		mustEnd(t, "the second sync", second, "")

		_, sync3 := mustCommit(t, s, save("c", "1"))
		_, sync4 := mustCommit(t, s, save("c", "2"))
		fourth := inBackground(sync4)
		mustWait(t, "the sync of both", fourth)
		release <- nil
		mustEnd(t, "the sync of both", fourth, "")
		if err := sync3(); err != nil || begun() != 3 {
			t.Errorf("%d syncs, %v", begun(), err)
		}
		if _, sync := mustCommit(t, s, save("none", "1", protocol.IfRevision(7))); sync != nil {
			t.Error("a batch that has changed nothing is synced")
		}
		if got := s.Info().Syncs; got != 3 {
			t.Errorf("%d syncs are told", got)
		}
		s.OnSync(nil)
	})
}

// TestCommit_Plain: with plain commits a batch is durable when it is visible.
func TestCommit_Plain(t *testing.T) {
	for _, c := range []struct {
		durability store.Durability
		writes     store.WALWrites
		commits    store.Commits
		syncs      int64
	}{
		{store.DurabilityFull, "", store.CommitsPlain, 2},
		{store.DurabilityFull, store.WALPlain, store.CommitsPipelined, 2},
		{store.DurabilityNormal, "", "", 0},
	} {
		o := durable()
		o.Durability, o.WALWrites, o.Commits = c.durability, c.writes, c.commits
		s := mustOpen(t, tempDB(t), o)
		for range 2 {
			if _, sync := mustCommit(t, s, save("a", "1")); sync != nil {
				t.Errorf("%+v: a commit is not durable", c)
			}
		}
		if _, sync := mustCommit(t, s, save("a", "1", protocol.IfRevision(7))); sync != nil {
			t.Errorf("%+v: a commit is not durable", c)
		}
		if info := s.Info(); info.Commits != store.CommitsPlain || info.Syncs != c.syncs {
			t.Errorf("%+v: commits are %s, %d syncs", c, info.Commits, info.Syncs)
		}
	}
}

// TestCommit_NothingChanged: a batch that changed nothing waits all the same for what it has seen.
func TestCommit_NothingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpenUnchecked(t, tempDB(t), durable())
		release, _ := holdSyncs(s)
		_, sync1 := mustCommit(t, s, save("a", "1"))
		replies, sync2 := mustCommit(t, s, save("a", "2", protocol.IfRevision(7)))
		wantCode(t, replies[0].Err, protocol.CodeConflict)
		conflict := inBackground(sync2)
		mustWait(t, "the conflict with a revision that is not durable", conflict)
		release <- nil
		mustEnd(t, "the conflict", conflict, "")
		if err := sync1(); err != nil {
			t.Error(err)
		}
		s.OnSync(nil)
	})
}

// TestCommit_Unsynced: there are never more than two commits that are not synced; log scans rely on that.
func TestCommit_Unsynced(t *testing.T) {
	s := mustOpen(t, tempDB(t), durable())
	syncs := 0
	s.OnSync(func(run func() error) error { syncs++; return run() })
	for i, want := range []int{0, 0, 1, 1, 2} {
		mustCommit(t, s, save("a", fmt.Sprint(i)))
		if syncs != want {
			t.Errorf("after %d commits %d syncs, want %d", i+1, syncs, want)
		}
	}
}

// TestRead_Durable: a read that has seen what is not durable waits until it is. One that has not, does not.
func TestRead_Durable(t *testing.T) {
	for _, hot := range []int64{-1, 1 << 20} {
		t.Run(fmt.Sprint("hot ", hot), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := durable()
				o.Readers, o.HotBytes = 16, hot
				s := mustOpenUnchecked(t, tempDB(t), o)
				mustApply(t, s, save("old", "1"), save("new", "1"), save("gone", "1"))
				for _, id := range []string{"old", "new", "gone"} { // so that they are kept in memory
					if _, err := load(t, s, id); err != nil {
						t.Fatal(err)
					}
				}
				release, _ := holdSyncs(s)
				_, sync := mustCommit(t, s, save("new", "2"), txn(save("txn", "1"), del("gone")))
				reads := map[string]protocol.Op{
					"load": must(protocol.Load("new")), "stat": must(protocol.Stat("new")), "a load of what was deleted": must(protocol.Load("gone")),
					"list": must(protocol.List("", "", 0)), "scan": must(protocol.Scan(0, 10)), "count": must(protocol.Count("")),
					"transaction": txn(must(protocol.Load("old")), must(protocol.Load("new"))),
				}
				waiting := map[string]func() (bool, error){}
				for name, op := range reads {
					waiting[name] = inBackground(func() error { _, err := s.Read(t.Context(), &op); return err })
					mustWait(t, name, waiting[name])
				}
				for _, op := range []protocol.Op{must(protocol.Load("old")), must(protocol.Stat("old"))} {
					if r, err := read(t, s, op); err != nil || r.Revision != 1 {
						t.Errorf("what is durable: %+v, %v", r, err)
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				left := inBackground(func() error { _, err := s.Read(ctx, must1(protocol.Load("new"))); return err })
				mustWait(t, "who leaves", left)
				cancel()
				mustEnd(t, "who leaves", left, protocol.CodeOverloaded)
				synced := inBackground(sync)
				mustWait(t, "the sync", synced)
				release <- nil
				mustEnd(t, "the sync", synced, "")
				for name, done := range waiting {
					want := protocol.Code("")
					if name == "a load of what was deleted" {
						want = protocol.CodeNotFound
					}
					mustEnd(t, name, done, want)
				}
				s.OnSync(nil)
			})
		})
	}
}

func must1(op protocol.Op, err error) *protocol.Op {
	op = must(op, err)
	return &op
}

// TestRead_Missing: that an agent does not exist is durable as long as no commit that is not has removed any.
func TestRead_Missing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpenUnchecked(t, tempDB(t), durable())
		mustApply(t, s, save("a", "1"))
		release, _ := holdSyncs(s)
		missing := func() (bool, error) {
			return inBackground(func() error { _, err := s.Read(t.Context(), must1(protocol.Load("missing"))); return err })()
		}
		for i, c := range []struct {
			op    protocol.Op
			waits bool
		}{{save("a", "2"), false}, {del("a"), true}, {save("a", "3"), false}, {protocol.Clear(), true}, {save("a", "4"), false}} {
			_, sync := mustCommit(t, s, c.op)
			if ended, err := missing(); ended == c.waits || ended && protocol.CodeOf(err) != protocol.CodeNotFound {
				t.Errorf("commit %d: the read has ended: %t, %v", i, ended, err)
			}
			synced := inBackground(sync)
			mustWait(t, "the sync", synced)
			release <- nil
			mustEnd(t, "the sync", synced, "")
		}
		s.OnSync(nil)
	})
}

// TestRead_Withdrawn: a read that waits for a commit which then fails goes on to wait for the one before.
func TestRead_Withdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpenUnchecked(t, tempDB(t), durable())
		release, _ := holdSyncs(s)
		_, sync := mustCommit(t, s, save("a", "1"))
		var reading func() (bool, error)
		s.InCommit(func() error {
			reading = inBackground(func() error { _, err := s.Read(t.Context(), must1(protocol.Load("a"))); return err })
			mustWait(t, "a read beside a commit", reading)
			return store.DriverError(5, "database is locked") // it is tried again
		})
		mustCommit(t, s, save("b", "1"))
		mustWait(t, "the read", reading)
		synced := inBackground(sync)
		mustWait(t, "the sync", synced)
		release <- nil
		mustEnd(t, "the sync", synced, "")
		mustEnd(t, "the read", reading, "")
		s.OnSync(nil)
	})
}

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
