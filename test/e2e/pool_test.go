package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// history is the state of an agent in a pool of workers: the turns that were run, in their order.
type history struct {
	Turns []string `json:"turns"`
}

// TestPool is what stated is for: workers in a pool load an agent, run its turn and save it, many at once. No turn may
// be lost, and none may be there twice.
func TestPool(t *testing.T) {
	const workers, turns, agents = 64, 200, 40
	bothWays(t, newFile, func(t *testing.T, _ string, s service) {
		ctx := within(t, 5*harness.Patience)
		want := make([]map[string]bool, agents)
		for i := range want {
			want[i] = map[string]bool{}
		}
		var pool sync.WaitGroup
		for w := range workers {
			random := rand.New(rand.NewPCG(1, uint64(w))) //nolint:gosec // repeatable on purpose
			plan := make([]int, turns)
			for turn := range plan {
				plan[turn] = random.IntN(agents)
				want[plan[turn]][fmt.Sprintf("%d/%d", w, turn)] = true
			}
			pool.Go(func() {
				for turn, agent := range plan {
					_, err := actor.Update(ctx, s.Handler, agentID(agent), func(h *history) error {
						h.Turns = append(h.Turns, fmt.Sprintf("%d/%d", w, turn))
						return nil
					})
					if err != nil {
						t.Errorf("worker %d, turn %d: %v", w, turn, err)
						return
					}
				}
			})
		}
		pool.Wait()
		for i := range want {
			compareHistory(t, s.Methods, agentID(i), want[i])
		}
	})
}

func agentID(n int) string { return fmt.Sprintf("agent-%02d", n) }

func compareHistory(t *testing.T, m protocol.Methods, id string, want map[string]bool) {
	t.Helper()
	reply, err := m.Load(guarded(t), id)
	if err != nil {
		t.Fatal(err)
	}
	var h history
	if err := json.Unmarshal(reply.State, &h); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, turn := range h.Turns {
		if got[turn]++; got[turn] == 2 {
			t.Errorf("%s has turn %s twice", id, turn)
		}
		if !want[turn] {
			t.Errorf("%s has turn %s, which is not one of its own", id, turn)
		}
	}
	for turn := range want {
		if got[turn] == 0 {
			t.Errorf("%s has lost turn %s", id, turn)
		}
	}
}

// TestPool_SharesCommits shows that those who save at once share the durable commits.
func TestPool_SharesCommits(t *testing.T) {
	const savers, each = 64, 30
	bothWays(t, newFile, func(t *testing.T, _ string, s service) {
		ctx := guarded(t)
		before := batchesOf(t, s)
		var all sync.WaitGroup
		for i := range savers {
			all.Go(func() {
				for n := range each {
					if _, err := s.Save(ctx, agentID(i), fmt.Appendf(nil, `{"n":%d}`, n)); err != nil {
						t.Errorf("saver %d: %v", i, err)
						return
					}
				}
			})
		}
		all.Wait()
		batches, requests := batchesOf(t, s).since(before)
		if requests != savers*each {
			t.Errorf("%d requests were committed, want %d", requests, savers*each)
		}
		t.Logf("%d saves in %d commits: %.1f on average", requests, batches, float64(requests)/float64(batches))
		if batches*2 > requests {
			t.Errorf("%d saves took %d commits: they did not share them", requests, batches)
		}
	})
}

type batchCount struct{ batches, requests int64 }

func (c batchCount) since(before batchCount) (batches, requests int64) {
	return c.batches - before.batches, c.requests - before.requests
}

// batchesOf reads the counters where each way has them: the actor's own, or the daemon's INFO.
func batchesOf(t *testing.T, s service) batchCount {
	t.Helper()
	if a, ok := s.Handler.(*actor.Actor); ok {
		i := a.Info()
		return batchCount{i.Batches, i.Requests}
	}
	info := infoOf(t, s.addr)
	return batchCount{info.number(t, "batches"), info.number(t, "batch_requests")}
}
