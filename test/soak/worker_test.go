//go:build soak

package soak

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// version is one state of an agent: its bytes follow from its number and size. Number 0 is that there is none.
type version struct {
	seq, size int
	revision  int64 // 0 while it is not known
}

// agent is the model of one agent, which one worker alone changes.
type agent struct {
	id    string
	tried int     // the highest number that was sent
	known version // what it holds, for certain, or else one of late
	late  []version
}

// state gives the bytes of a version: of this size, if it is not too small for what has to be in it.
func state(id string, seq, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size+32), `{"id":%q,"seq":%d,"pad":"`, id, seq)
	pad := make([]byte, max(0, size-2-len(b)+1)/2)
	random := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-16.16s%16d", id, seq))))
	_, _ = random.Read(pad) // it never fails
	return append(hex.AppendEncode(b, pad), `"}`...)
}

// worker is a client with agents of its own.
type worker struct {
	*soak
	n       int
	random  *rand.Rand
	client  *resp.Client
	agents  []*agent
	highest int64 // the highest revision that it was given
}

// run does one thing after another until the soak ends.
func (w *worker) run(t *testing.T) {
	t.Helper()
	steps := []struct {
		weight int
		do     func(t *testing.T, a *agent)
	}{{40, w.save}, {12, w.saveIf}, {5, w.saveLate}, {8, w.remove}, {8, w.txn}, {15, w.load}, {8, w.loadOther}, {3, w.list}, {1, w.disconnect}}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for !w.ended() && !t.Failed() {
		n := w.random.IntN(total)
		for _, s := range steps {
			if n -= s.weight; n < 0 {
				w.step(t, s.do)
				break
			}
		}
	}
}

func (w *worker) step(t *testing.T, do func(t *testing.T, a *agent)) {
	t.Helper()
	w.idle.RLock()
	defer w.idle.RUnlock()
	do(t, w.agents[w.random.IntN(agents)])
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), harness.Patience)
}

// next makes a new version, of 100 B to 1 MiB; half of them have less than 1 kB.
func (w *worker) next(a *agent) (version, []byte) {
	a.tried++
	exponent := w.random.Float64()
	b := state(a.id, a.tried, int(100*math.Pow(10_485, exponent*exponent)))
	return version{seq: a.tried, size: len(b)}, b
}

// changed enters a change that was acknowledged.
func (w *worker) changed(t *testing.T, a *agent, v version, revision int64) {
	t.Helper()
	if revision <= w.highest {
		t.Errorf("%s: revision %d after %d", a.id, revision, w.highest)
	}
	w.highest = revision
	w.becomes(t, a, v, revision)
}

// becomes enters a version and the revision that it was found with.
func (w *worker) becomes(t *testing.T, a *agent, v version, revision int64) {
	t.Helper()
	if revision <= a.known.revision {
		t.Errorf("%s: revision %d after %d", a.id, revision, a.known.revision)
	}
	w.revisions.note(t, revision, a.id)
	a.known, a.late = v, nil
	if v.seq > 0 {
		a.known.revision = revision
	}
}

// settle enters the outcome of a change. Where that is not known, it looks which it was.
func (w *worker) settle(t *testing.T, what string, a *agent, v version, revision int64, err error) {
	t.Helper()
	w.outcomes.add(what, err)
	switch code := protocol.CodeOf(err); code {
	case "":
		w.changed(t, a, v, revision)
	case protocol.CodeUnknown:
		w.find(t, a, v)
	case protocol.CodeUnavailable:
	default:
		t.Errorf("%s %s: %v", what, a.id, err)
	}
}

func (w *worker) save(t *testing.T, a *agent) {
	v, b := w.next(a)
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.Save(ctx, a.id, b)
	w.settle(t, "save", a, v, reply.Revision, err)
}

// saveIf saves on the condition that nothing has changed.
func (w *worker) saveIf(t *testing.T, a *agent) {
	condition := protocol.IfAbsent()
	if a.known.seq > 0 {
		condition = protocol.IfRevision(a.known.revision)
	}
	v, b := w.next(a)
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.SaveIf(ctx, a.id, b, condition)
	if errors.Is(err, protocol.CodeConflict) && len(a.late) > 0 {
		w.find(t, a)
		return
	}
	w.settle(t, "save-if", a, v, reply.Revision, err)
}

// saveLate saves on a condition that does not hold any more.
func (w *worker) saveLate(t *testing.T, a *agent) {
	if a.known.revision < 2 {
		return
	}
	_, b := w.next(a)
	ctx, cancel := within()
	defer cancel()
	_, err := w.client.SaveIf(ctx, a.id, b, protocol.IfRevision(a.known.revision-1))
	w.outcomes.add("save-late", err)
	current, conflict := protocol.CurrentRevision(err)
	switch {
	case conflict && (current == a.known.revision || len(a.late) > 0):
	case errors.Is(err, protocol.CodeUnavailable), errors.Is(err, protocol.CodeUnknown):
	default:
		t.Errorf("%s has revision %d, a save on condition of an older one says %v", a.id, a.known.revision, err)
	}
}

func (w *worker) remove(t *testing.T, a *agent) {
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.Delete(ctx, a.id)
	if err == nil && reply.Revision == 0 { // there was nothing
		w.outcomes.add("delete", err)
		if a.known.seq > 0 {
			t.Errorf("%s: version %d was there, a delete found nothing", a.id, a.known.seq)
		}
		return
	}
	w.settle(t, "delete", a, version{}, reply.Revision, err)
}

// txn saves one agent and saves or deletes another one: both or none.
func (w *worker) txn(t *testing.T, a *agent) {
	b := w.agents[w.random.IntN(agents)]
	if a == b || len(a.late)+len(b.late) > 0 {
		return
	}
	va, stateA := w.next(a)
	vb, stateB := w.next(b)
	first, err := protocol.Save(a.id, stateA, protocol.Condition{})
	second, err2 := protocol.Save(b.id, stateB, protocol.Condition{})
	if b.known.seq > 0 && w.random.IntN(3) == 0 {
		vb = version{}
		second, err2 = protocol.Delete(b.id, protocol.IfRevision(b.known.revision))
	}
	if err != nil || err2 != nil {
		t.Error(err, err2)
		return
	}
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.Txn(ctx, first, second)
	w.outcomes.add("txn", err)
	switch {
	case err == nil:
		w.changed(t, a, va, reply.Replies[0].Revision)
		w.changed(t, b, vb, reply.Replies[1].Revision)
	case errors.Is(err, protocol.CodeUnknown):
		w.find(t, a, va)
		w.find(t, b, vb)
		if (a.known.seq == va.seq) != (b.known.seq == vb.seq) {
			t.Errorf("half of a transaction is there: %s at %d, %s at %d", a.id, a.known.seq, b.id, b.known.seq)
		}
	case !errors.Is(err, protocol.CodeUnavailable):
		t.Errorf("transaction on %s and %s: %v", a.id, b.id, err)
	}
}

// disconnect sends a save, and hangs up before the answer or in the middle of the command. It may be applied at any time
// from now on, as long as the agent has the revision that it has.
func (w *worker) disconnect(t *testing.T, a *agent) {
	if a.known.seq == 0 || len(a.late) > 0 {
		return
	}
	v, b := w.next(a)
	command := []byte("*5\r\n")
	for _, arg := range []string{"STATE.SAVE", a.id, string(b), "IFREV", fmt.Sprint(a.known.revision)} {
		command = fmt.Appendf(command, "$%d\r\n%s\r\n", len(arg), arg)
	}
	c, err := w.dial()
	if err != nil {
		return // the daemon was killed
	}
	defer c.Close() //nolint:errcheck // nobody waits for anything
	if w.random.IntN(2) == 0 {
		command = command[:w.random.IntN(len(command))]
	} else {
		a.late = append(a.late, v)
	}
	_, _ = c.Write(command) // it may be killed in the middle
}
