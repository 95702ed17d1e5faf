package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// ledger is what the clients of a daemon that is ended know together.
type ledger struct {
	clients  []*crashClient
	outcomes harness.Outcomes

	mu             sync.Mutex
	owners         map[int64]string // what each revision was given to
	highest        int64
	floor          int64 // the highest before the last kill: whatever comes later is above it
	found, missing int   // changes of unknown outcome
}

func newLedger(random *rand.Rand) *ledger {
	l := &ledger{owners: map[int64]string{}}
	for i := range crashClients {
		l.clients = append(l.clients, newCrashClient(i, random))
	}
	return l
}

// String gives the figures.
func (l *ledger) String() string {
	return fmt.Sprintf("%d revisions up to %d; changes: %v; of the unknown ones %d were applied as a whole, %d not at all",
		len(l.owners), l.highest, &l.outcomes, l.found, l.missing)
}

// known tells how many revisions are.
func (l *ledger) known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.owners)
}

// note enters the revision of a change that was acknowledged, or found in the file, and complains if it was given out
// before. A delete of nothing has none.
func (l *ledger) note(t *testing.T, owner string, revision int64) {
	t.Helper()
	if revision == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.owners[revision]; ok {
		t.Errorf("revision %d was given to %s and again to %s", revision, was, owner)
	}
	if revision <= l.floor {
		t.Errorf("%s has revision %d, but %d was known before the daemon was killed", owner, revision, l.floor)
	}
	l.owners[revision] = owner
	l.highest = max(l.highest, revision)
}

// verify compares what is there after a kill with what was acknowledged before it.
func (l *ledger) verify(t *testing.T, m protocol.Methods) {
	t.Helper()
	for _, c := range l.clients {
		there := c.load(t, m)
		if t.Failed() {
			return
		}
		l.settle(t, c, there)
	}
	l.floor = l.highest
}

// settle finds out what became of the client's last change, and expects all the others to be there.
func (l *ledger) settle(t *testing.T, c *crashClient, there [crashAgents]saved) {
	t.Helper()
	pending := c.pending
	c.pending = nil
	if there == c.acked {
		if pending != nil {
			l.missing++
		}
		return
	}
	applied := c.acked
	for _, e := range pending {
		applied[e.agent] = saved{}
		if e.seq > 0 {
			applied[e.agent] = saved{e.seq, there[e.agent].revision}
			l.note(t, c.id(e.agent), there[e.agent].revision)
		}
	}
	if there != applied {
		t.Errorf("%s has (number, revision) %v; acknowledged was %v; its last change, of unknown outcome, was (agent, number) %v",
			c.name, there, c.acked, pending)
	}
	l.found++
	c.acked = there
}

// load gives the client's agents as they are.
func (c *crashClient) load(t *testing.T, m protocol.Methods) (there [crashAgents]saved) {
	t.Helper()
	var ops []protocol.Op
	for agent := range crashAgents {
		ops = append(ops, valid(t)(protocol.Load(c.id(agent))))
	}
	reply, err := m.Txn(guarded(t), ops...)
	if err != nil {
		t.Errorf("%s: %v", c.name, err)
		return there
	}
	for agent, r := range reply.Replies {
		if !r.Found {
			continue
		}
		var state crashState
		if err := json.Unmarshal(r.State, &state); err != nil {
			t.Errorf("%s: %v", c.id(agent), err)
		}
		there[agent] = saved{state.Seq, r.Revision}
	}
	return there
}
