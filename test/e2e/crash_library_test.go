package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// crashChildFile names the variable that makes the test binary the child of TestCrash_Library.
const crashChildFile = "STATED_TEST_CRASH_CHILD"

// crashChild saves as a program that links the actor, and prints each acknowledged save, until it is killed.
func crashChild(db string) {
	ctx := context.Background()
	s, err := store.Open(ctx, db, harness.Settings(store.Options{}))
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

// TestCrash_Library is TestCrash for a program that links the actor: 5 kills, or 100 with -long.
func TestCrash_Library(t *testing.T) {
	cycles := 5
	if harness.Long() {
		cycles = 100
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	random := harness.Random(t)
	db := harness.File(t)
	c := &counted{owners: map[int64]string{}, agents: map[string]counter{}}
	for range cycles {
		child := harness.Spawn(t, harness.Command{Path: self, Env: []string{crashChildFile + "=" + db}})
		child.WaitLines(t, 1+random.IntN(800))
		child.Kill()
		for _, line := range child.Lines() {
			c.hear(t, line)
		}
		c.verify(t, db)
		harness.MustCheck(t, db)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d kills: %d saves acknowledged, none lost; %d unknown, %d of them applied", cycles, c.acks, c.unknown, c.applied)
}

// counter is an agent that counts its saves, with its revision.
type counter struct {
	n        int
	revision int64
}

// counted is what is known of the agents of a program that is killed.
type counted struct {
	owners                 map[int64]string
	agents                 map[string]counter
	floor                  int64 // the highest revision before the last kill
	acks, unknown, applied int
}

func (c *counted) hear(t *testing.T, line string) {
	t.Helper()
	var id string
	var revision int64
	if _, err := fmt.Sscanf(line, "ack %s %d", &id, &revision); err != nil {
		t.Fatalf("the child says %q", line)
	}
	c.acks++
	c.note(t, id, revision)
	c.agents[id] = counter{c.agents[id].n + 1, revision}
}

func (c *counted) note(t *testing.T, id string, revision int64) {
	t.Helper()
	if was, ok := c.owners[revision]; ok {
		t.Errorf("revision %d was given to %s and again to %s", revision, was, id)
	}
	if revision <= c.floor {
		t.Errorf("%s has revision %d, but %d was known before the kill", id, revision, c.floor)
	}
	c.owners[revision] = id
}

// verify expects each agent as its last acknowledged save left it, or one save further: each worker had one in hand.
func (c *counted) verify(t *testing.T, db string) {
	t.Helper()
	a, closeIt := library(t, db, store.Options{})
	defer closeIt()
	further := map[string]int{} // by worker
	for i := range crashClients {
		worker := fmt.Sprintf("worker-%d", i)
		for n := range crashAgents {
			id := fmt.Sprintf("%s-%d", worker, n)
			was, is := c.agents[id], counter{}
			reply, err := a.Load(guarded(t), id)
			if err == nil {
				var state crashState
				err = json.Unmarshal(reply.State, &state)
				is = counter{state.Seq, reply.Revision}
			}
			switch {
			case err != nil && !errors.Is(err, protocol.CodeNotFound):
				t.Errorf("%s: %v", id, err)
			case is == was:
			case is.n == was.n+1:
				further[worker]++
				c.note(t, id, is.revision)
				c.agents[id] = is
			default:
				t.Errorf("%s: %d saves up to revision %d were acknowledged, there are %d up to %d", id, was.n, was.revision, is.n, is.revision)
			}
		}
		if further[worker] > 1 {
			t.Errorf("%s had one save in hand, and %d were applied", worker, further[worker])
		}
		c.applied += further[worker]
	}
	c.unknown += crashClients
	for revision := range c.owners {
		c.floor = max(c.floor, revision)
	}
}
