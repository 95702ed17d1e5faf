package store_test

import (
	"context"
	"fmt"
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
