package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

const (
	crashClients = 16
	crashAgents  = 4 // of each client
)

type crashState struct {
	Seq int `json:"seq"`
}

// saved is a state that is known to have been saved.
type saved struct {
	seq      int
	revision int64
}

// ledger is what the clients know: the last acknowledged state of each agent, and which save got which revision.
type ledger struct {
	mu       sync.Mutex
	last     map[string]saved
	attempts map[string]int // the last sequence number that was tried
	owners   map[int64]string
	acks     int
}

func newLedger() *ledger {
	return &ledger{last: map[string]saved{}, attempts: map[string]int{}, owners: map[int64]string{}}
}

// next gives the sequence number of the next save of an agent.
func (l *ledger) next(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts[id]++
	return l.attempts[id]
}

// note enters a save that was acknowledged or found in the file, and complains if its revision is another save's.
func (l *ledger) note(t *testing.T, id string, s saved) (acks int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	owner := fmt.Sprintf("%s/%d", id, s.seq)
	if was, ok := l.owners[s.revision]; ok && was != owner {
		t.Errorf("revision %d was given to %s and again to %s", s.revision, was, owner)
	}
	l.owners[s.revision] = owner
	l.last[id] = s
	l.acks++
	return l.acks
}

// verify compares what is there after a crash with what was acknowledged. An unacknowledged save may be there.
func (l *ledger) verify(t *testing.T, m protocol.Methods) {
	t.Helper()
	for id, want := range l.last {
		reply, err := m.Load(guarded(t), id)
		if err != nil {
			t.Errorf("%s, acknowledged up to %d: %v", id, want.seq, err)
			continue
		}
		var got crashState
		if err := json.Unmarshal(reply.State, &got); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		switch {
		case got.Seq < want.seq || reply.Revision < want.revision:
			t.Errorf("%s is at %d, revision %d, but %d was acknowledged with revision %d", id, got.Seq, reply.Revision, want.seq, want.revision)
		case got.Seq > l.attempts[id]:
			t.Errorf("%s is at %d, and nobody has saved more than %d", id, got.Seq, l.attempts[id])
		}
		l.note(t, id, saved{got.Seq, reply.Revision})
	}
}

// TestCrash kills the daemon under load, again and again. Whatever it acknowledged has to be there, and no revision
// may be given out twice.
func TestCrash(t *testing.T) {
	const cycles = 10
	random := harness.Random(t)
	db := harness.File(t)
	l := newLedger()
	for cycle := range cycles {
		d := harness.Start(t, db)
		l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
		loadUntilKilled(t, d, l, l.acks+1+random.IntN(1500))
		harness.MustCheck(t, db)
		t.Logf("cycle %d: %d acknowledged in all", cycle, l.acks)
	}
	d := harness.Start(t, db)
	l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
	d.Stop(t)
}

// loadUntilKilled saves with many clients, kills the daemon when so many saves are acknowledged in all, and returns
// when every client has found out.
func loadUntilKilled(t *testing.T, d *harness.Daemon, l *ledger, killAt int) {
	t.Helper()
	ctx := guarded(t)
	enough := make(chan struct{})
	var once sync.Once
	var clients sync.WaitGroup
	for i := range crashClients {
		c := d.Client(t, resp.ClientOptions{})
		clients.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("client-%d-%d", i, n%crashAgents)
				seq := l.next(id)
				reply, err := c.Save(ctx, id, fmt.Appendf(nil, `{"seq":%d}`, seq))
				if err != nil {
					checkKilled(t, err)
					return
				}
				if l.note(t, id, saved{seq, reply.Revision}) >= killAt {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Errorf("the load never got far enough to kill the daemon:\n%s", d.Output())
	}
	d.Kill()
	clients.Wait()
}

// checkKilled accepts what a client may say when its daemon was killed.
func checkKilled(t *testing.T, err error) {
	t.Helper()
	if code := protocol.CodeOf(err); code != protocol.CodeUnknown && code != protocol.CodeUnavailable {
		t.Errorf("after the kill a client says %v", err)
	}
}

// crashChildFile names the variable that makes the test binary the child of TestCrash_Library.
const crashChildFile = "STATED_TEST_CRASH_CHILD"

// crashChild saves as a program that links the actor, and prints each acknowledged save, until it is killed.
func crashChild(db string) {
	ctx := context.Background()
	s, err := store.Open(ctx, db, store.Options{})
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	a := actor.New(s, actor.Options{})
	var workers sync.WaitGroup
	for i := range crashClients {
		workers.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("worker-%d-%d", i, n%crashAgents)
				reply, err := actor.Update(ctx, a, id, func(s *crashState) error { s.Seq++; return nil })
				if err != nil {
					fmt.Println("failed", err)
					return
				}
				// One write each: a line is whole, or was never acknowledged.
				_, _ = fmt.Printf("ack %s %d\n", id, reply.Revision)
			}
		})
	}
	workers.Wait()
}

// TestCrash_Library is TestCrash for a program that links the actor.
func TestCrash_Library(t *testing.T) {
	const cycles = 5
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	db := harness.File(t)
	owners, revisions, counts := map[int64]string{}, map[string]int64{}, map[string]int{}
	for cycle := range cycles {
		child := harness.Spawn(t, harness.Command{Path: self, Env: []string{crashChildFile + "=" + db}})
		child.WaitLines(t, 300+200*cycle)
		child.Kill()
		for _, line := range child.Lines() {
			var id string
			var revision int64
			if _, err := fmt.Sscanf(line, "ack %s %d", &id, &revision); err != nil {
				t.Fatalf("the child says %q", line)
			}
			if was, ok := owners[revision]; ok {
				t.Errorf("revision %d was given to %s and again to %s", revision, was, id)
			}
			owners[revision] = id
			revisions[id] = max(revisions[id], revision)
			counts[id]++
		}
		verifyLibrary(t, db, revisions, counts)
	}
	t.Logf("%d acknowledged saves survived %d kills", len(owners), cycles)
}

// verifyLibrary expects each agent to have counted at least as many saves as were acknowledged.
func verifyLibrary(t *testing.T, db string, revisions map[string]int64, counts map[string]int) {
	t.Helper()
	a, closeIt := library(t, db, store.Options{})
	defer closeIt()
	for id, revision := range revisions {
		reply, err := a.Load(guarded(t), id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		var got crashState
		if err := json.Unmarshal(reply.State, &got); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if reply.Revision < revision || got.Seq < counts[id] {
			t.Errorf("%s: %d saves up to revision %d were acknowledged, there are %d up to %d",
				id, counts[id], revision, got.Seq, reply.Revision)
		}
	}
}
