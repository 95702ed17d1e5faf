//go:build soak

package soak

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
)

func (w *worker) load(t *testing.T, a *agent) {
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.Load(ctx, a.id)
	w.outcomes.add("load", err)
	if !isAway(err) {
		w.compare(t, a, reply, err, nil)
	}
}

// isAway reports whether a read was not answered, since the daemon was killed.
func isAway(err error) bool {
	return errors.Is(err, protocol.CodeUnavailable) || errors.Is(err, protocol.CodeUnknown)
}

// find looks which of the versions the agent has got, or whether it has kept the one that it had. It waits for the daemon.
func (w *worker) find(t *testing.T, a *agent, maybe ...version) {
	t.Helper()
	ctx, cancel := within()
	defer cancel()
	for {
		reply, err := w.client.Load(ctx, a.id)
		if !isAway(err) || ctx.Err() != nil {
			w.compare(t, a, reply, err, maybe)
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// compare expects what the model says, or one of the versions that may be there.
func (w *worker) compare(t *testing.T, a *agent, reply protocol.Reply, err error, maybe []version) {
	t.Helper()
	if err != nil && !errors.Is(err, protocol.CodeNotFound) {
		t.Errorf("load %s: %v", a.id, err)
		return
	}
	is := func(v version) bool {
		if v.seq == 0 {
			return err != nil
		}
		return err == nil && bytes.Equal(reply.State, state(a.id, v.seq, v.size))
	}
	if is(a.known) && reply.Revision == a.known.revision {
		return
	}
	for _, v := range append(maybe, a.late...) {
		switch {
		case !is(v):
		case v.seq == 0:
			a.known, a.late = v, nil
			return
		default:
			w.becomes(t, a, v, reply.Revision)
			return
		}
	}
	t.Errorf("%s holds %.60q, %d bytes, revision %d, %v; it should be %+v, or one of %+v, %+v",
		a.id, reply.State, len(reply.State), reply.Revision, err, a.known, maybe, a.late)
}

// loadOther reads an agent that somebody else changes: whatever it holds has to be one of its versions, whole.
func (w *worker) loadOther(t *testing.T, _ *agent) {
	id := fmt.Sprintf("worker-%02d-%d", w.random.IntN(workers), w.random.IntN(agents))
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.Load(ctx, id)
	w.outcomes.add("load-other", err)
	if isAway(err) || errors.Is(err, protocol.CodeNotFound) {
		return
	}
	var seq int
	if err == nil {
		_, err = fmt.Sscanf(string(reply.State[:min(len(reply.State), 60)]), `{"id":"`+id+`","seq":%d,`, &seq)
	}
	if err != nil || !bytes.Equal(reply.State, state(id, seq, len(reply.State))) {
		t.Errorf("%s holds %.60q, %d bytes, %v", id, reply.State, len(reply.State), err)
	}
}

// list expects all of its own agents, and nothing else.
func (w *worker) list(t *testing.T, _ *agent) {
	ctx, cancel := within()
	defer cancel()
	reply, err := w.client.List(ctx, fmt.Sprintf("worker-%02d-", w.n), "", 0)
	w.outcomes.add("list", err)
	if isAway(err) {
		return
	}
	if err != nil {
		t.Errorf("list: %v", err)
		return
	}
	listed := map[string]protocol.Entry{}
	for _, e := range reply.Entries {
		listed[e.ID] = e
	}
	for _, a := range w.agents {
		e, ok := listed[a.id]
		if len(a.late) == 0 && (ok != (a.known.seq > 0) || e.Revision != a.known.revision || e.Bytes != int64(a.known.size)) {
			t.Errorf("%s is listed as %+v, it should be %+v", a.id, e, a.known)
		}
	}
}
