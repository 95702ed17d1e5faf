package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

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
