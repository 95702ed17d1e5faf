package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

const (
	crashClients = 16
	crashAgents  = 4 // of each client, which nobody else changes
)

type crashState struct {
	Seq int `json:"seq"`
}

// TestCrash kills the daemon under load, again and again: 10 times, or 200 with -long. Whatever it acknowledged has to
// be there, what it did not is there as a whole or not at all, and no revision may be given out twice.
func TestCrash(t *testing.T) {
	cycles := 10
	if harness.Long() {
		cycles = 200
	}
	random := harness.Random(t)
	db := harness.File(t)
	l := newLedger(random)
	for range cycles {
		d := harness.Start(t, db)
		l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
		moment := time.Duration(random.IntN(5_000)) * time.Microsecond
		loadUntilEnded(t, d, l, l.known()+1+random.IntN(1500), moment, d.Kill)
		harness.MustCheck(t, db)
		if t.Failed() {
			break
		}
	}
	d := harness.Start(t, db)
	l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
	d.Stop(t)
	t.Logf("%d kills; %v", cycles, l)
}

// loadUntilEnded changes agents with many clients, ends the daemon a moment after so many revisions are known in all,
// and returns when every client has found out.
func loadUntilEnded(t *testing.T, d *harness.Daemon, l *ledger, revisions int, moment time.Duration, end func()) {
	t.Helper()
	ctx := guarded(t)
	enough := make(chan struct{})
	var once sync.Once
	var clients sync.WaitGroup
	for _, c := range l.clients {
		conn := d.Client(t, resp.ClientOptions{})
		clients.Go(func() {
			defer conn.Close()
			for c.change(ctx, t, l, conn.Methods) {
				if l.known() >= revisions {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	select {
	case <-enough:
		time.Sleep(moment) // else it would always be right after a commit
	case <-ctx.Done():
		t.Errorf("the load never got far enough to end the daemon:\n%s", d.Output())
	}
	end()
	clients.Wait()
}

// crashClient changes agents of its own, one change after the other.
type crashClient struct {
	name    string
	random  *rand.Rand
	seq     int
	acked   [crashAgents]saved // as the acknowledged changes left them
	pending []effect           // of the change whose outcome is unknown
}

// saved is an agent as somebody knows it. The zero value is one that does not exist.
type saved struct {
	seq      int
	revision int64
}

// effect is what a change makes of an agent: the state with this number, or nothing for 0.
type effect struct{ agent, seq int }

func newCrashClient(i int, random *rand.Rand) *crashClient {
	return &crashClient{name: fmt.Sprintf("client-%d", i), random: rand.New(rand.NewPCG(random.Uint64(), 0))} //nolint:gosec // repeatable on purpose
}

func (c *crashClient) id(agent int) string { return fmt.Sprintf("%s-%d", c.name, agent) }

// next gives a save, a delete, or a transaction of both behind a condition that holds.
func (c *crashClient) next(t *testing.T) (protocol.Op, []effect) {
	t.Helper()
	all := c.random.Perm(crashAgents)
	if c.random.IntN(4) > 0 {
		op, e := c.one(t, all[0])
		return op, []effect{e}
	}
	cond := protocol.IfAbsent()
	if revision := c.acked[all[0]].revision; revision > 0 {
		cond = protocol.IfRevision(revision)
	}
	ops := []protocol.Op{valid(t)(protocol.Check(c.id(all[0]), cond))}
	var effects []effect
	for _, agent := range all[:2+c.random.IntN(crashAgents-1)] {
		op, e := c.one(t, agent)
		ops, effects = append(ops, op), append(effects, e)
	}
	return valid(t)(protocol.Txn(ops...)), effects
}

func (c *crashClient) one(t *testing.T, agent int) (protocol.Op, effect) {
	t.Helper()
	if c.random.IntN(5) == 0 {
		return valid(t)(protocol.Delete(c.id(agent), protocol.Condition{})), effect{agent, 0}
	}
	c.seq++
	return valid(t)(protocol.Save(c.id(agent), fmt.Appendf(nil, `{"seq":%d}`, c.seq), protocol.Condition{})), effect{agent, c.seq}
}

func valid(t *testing.T) func(protocol.Op, error) protocol.Op {
	return func(op protocol.Op, err error) protocol.Op {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return op
	}
}

// change makes one change and enters what came of it. It reports whether there can be another one.
func (c *crashClient) change(ctx context.Context, t *testing.T, l *ledger, m protocol.Methods) bool {
	t.Helper()
	op, effects := c.next(t)
	reply, err := protocol.Do(ctx, m.Handler, op)
	l.outcomes.Note(ctx, t, err)
	switch protocol.CodeOf(err) {
	case "":
	case protocol.CodeUnavailable: // certainly not applied: it must not be there
		return false
	case protocol.CodeUnknown:
		c.pending = effects
		return false
	default:
		t.Errorf("at the end of the daemon a client says %v", err)
		return false
	}
	replies := []protocol.Reply{reply}
	if op.Kind() == protocol.KindTxn {
		replies = reply.Replies[1:] // behind the check
	}
	for i, e := range effects {
		l.note(t, fmt.Sprintf("%s/%d", c.id(e.agent), e.seq), replies[i].Revision)
		c.acked[e.agent] = saved{e.seq, replies[i].Revision}
		if e.seq == 0 {
			c.acked[e.agent] = saved{}
		}
	}
	return true
}
