package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stated/stated/cmd/stated/bench"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
)

// memory is a target that counts what it is asked for.
type memory struct {
	*protocoltest.Memory
	mu           sync.Mutex
	asked        map[protocol.Kind]int64
	opened, shut int
	observations []bench.Observation // what it tells, one after the other; nothing when they are used up
	observed     int
}

func newMemory() *memory {
	m := &memory{Memory: protocoltest.New(), asked: map[protocol.Kind]int64{}}
	m.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		m.count(r)
		return nil
	}
	return m
}

func (m *memory) count(r *protocol.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[r.Op().Kind()]++
}

func (m *memory) target() bench.Target {
	return bench.Target{
		Connect: func(context.Context) (protocol.Handler, func() error, error) {
			m.opened++
			return m, func() error { m.shut++; return nil }, nil
		},
		Observe: func(context.Context) (bench.Observation, error) {
			if m.observed == len(m.observations) {
				return bench.Observation{}, errors.New("it tells nothing")
			}
			m.observed++
			return m.observations[m.observed-1], nil
		},
	}
}

func mustRun(t *testing.T, target bench.Target, o bench.Options) *bench.Report {
	t.Helper()
	r, err := bench.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRun_workloads measures a number of requests of each sort, and holds the report against what was asked for.
func TestRun_workloads(t *testing.T) {
	const requests, size = 1003, 100
	for _, workload := range bench.Workloads() {
		for _, pipeline := range []int{1, 7} {
			o := options()
			o.Workload, o.Pipeline, o.Requests = workload, pipeline, requests
			m := newMemory()
			r := mustRun(t, m.target(), o)
			fills := int64(1)
			want := map[bench.Workload]map[protocol.Kind]int64{
				bench.Save:  {protocol.KindTxn: fills, protocol.KindSave: requests},
				bench.Load:  {protocol.KindTxn: fills, protocol.KindLoad: requests},
				bench.Mixed: {protocol.KindTxn: fills, protocol.KindLoad: requests + r.Conflicts, protocol.KindSave: requests + r.Conflicts},
				bench.Txn:   {protocol.KindTxn: fills + requests},
			}[workload]
			for kind, n := range want {
				if m.asked[kind] != n {
					t.Errorf("%s, pipeline %d: asked %d times for %v, want %d", workload, pipeline, m.asked[kind], kind, n)
				}
			}
			performed := map[bench.Workload]int64{
				bench.Save: requests, bench.Load: requests, bench.Mixed: 2*requests + r.Conflicts, bench.Txn: 3 * requests,
			}[workload]
			if r.Requests != requests || r.Operations != performed || r.Bytes != performed*size {
				t.Errorf("%s, pipeline %d: %d requests, %d operations, %d bytes, want %d, %d, %d", workload, pipeline,
					r.Requests, r.Operations, r.Bytes, requests, performed, performed*size)
			}
			if r.Failed() != 0 || r.Err() != nil || r.Interrupted || m.Len() != o.Agents {
				t.Errorf("%s, pipeline %d: %+v, %d agents", workload, pipeline, r, m.Len())
			}
			if m.opened != o.Clients || m.shut != m.opened {
				t.Errorf("%s: %d clients were connected, %d ended", workload, m.opened, m.shut)
			}
		}
	}
}

// TestRun_fewRequests has more clients than requests.
func TestRun_fewRequests(t *testing.T) {
	o := options()
	o.Requests, o.Clients = 2, 30
	m := newMemory()
	if r := mustRun(t, m.target(), o); r.Requests != 2 || m.asked[protocol.KindSave] != 2 {
		t.Errorf("%d requests of 2, asked for %d", r.Requests, m.asked[protocol.KindSave])
	}
}

// TestRun_fill saves each agent once, with the same states whoever saves them, and not at all when told so.
func TestRun_fill(t *testing.T) {
	load := func(m *memory) (all []string) {
		page, err := protocol.Methods{Handler: m}.List(t.Context(), "", "", protocol.MaxListLimit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			reply, err := protocol.Methods{Handler: m}.Load(t.Context(), e.ID)
			if err != nil || !json.Valid(reply.State) {
				t.Fatalf("%s: %q, %v", e.ID, reply.State, err)
			}
			all = append(all, e.ID+string(reply.State))
		}
		return all
	}
	o := options()
	o.Workload, o.Requests, o.Agents, o.Size = bench.Load, 10, 600, bench.Size{Least: 20, Most: 200}
	one, other := newMemory(), newMemory()
	mustRun(t, one.target(), o)
	o.Clients = 1
	mustRun(t, other.target(), o)
	first := load(one)
	if len(first) != o.Agents || strings.Join(first, "") != strings.Join(load(other), "") {
		t.Errorf("%d agents, or their states differ from run to run", len(first))
	}
	o.NoFill = true
	before := one.asked[protocol.KindTxn]
	if r := mustRun(t, one.target(), o); r.Requests != o.Requests || one.asked[protocol.KindTxn] != before {
		t.Errorf("with agents that are there: %d requests, %d more transactions", r.Requests, one.asked[protocol.KindTxn]-before)
	}
	empty := newMemory()
	o.Clients = int(o.Requests) // else it would pause between the failures
	r := mustRun(t, empty.target(), o)
	if r.Requests != 0 || r.Errors[protocol.CodeNotFound] != o.Requests || !errors.Is(r.Err(), protocol.CodeNotFound) {
		t.Errorf("loads of agents that are not there: %+v", r)
	}
}

// TestRun_fillFails ends with the error, before anything is measured.
func TestRun_fillFails(t *testing.T) {
	m := newMemory()
	m.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		m.count(r)
		return &protocol.Reply{Err: protocol.Errorf(protocol.CodeFull, "no room")}
	}
	r, err := bench.Run(t.Context(), m.target(), options())
	if r != nil || !errors.Is(err, protocol.CodeFull) || m.asked[protocol.KindSave] != 0 || m.shut != m.opened {
		t.Errorf("got %+v, %v; %d saves, %d of %d clients ended", r, err, m.asked[protocol.KindSave], m.shut, m.opened)
	}
}

// TestRun_connectFails ends the clients that were connected already.
func TestRun_connectFails(t *testing.T) {
	m := newMemory()
	target := m.target()
	connect := target.Connect
	target.Connect = func(ctx context.Context) (protocol.Handler, func() error, error) {
		if m.opened == 2 {
			return nil, nil, protocol.Errorf(protocol.CodeUnavailable, "one too many")
		}
		return connect(ctx)
	}
	if _, err := bench.Run(t.Context(), target, options()); !errors.Is(err, protocol.CodeUnavailable) || m.shut != 2 {
		t.Errorf("got %v, %d of 2 clients ended", err, m.shut)
	}
	o := options()
	o.Clients = 0
	if _, err := bench.Run(t.Context(), target, o); !errors.Is(err, protocol.CodeInvalid) {
		t.Errorf("options that make no sense: got %v", err)
	}
}

// TestRun_conflicts has many who change one agent: each change is made once, after as many tries as it takes.
func TestRun_conflicts(t *testing.T) {
	o := options()
	o.Workload, o.Agents, o.Clients, o.Pipeline, o.Requests = bench.Mixed, 1, 2, 2, 100
	m := newMemory()
	r := mustRun(t, m.target(), o)
	// Of two that one client has loaded together, one loses.
	if r.Requests != 100 || r.Conflicts < 50 || r.Failed() != 0 {
		t.Errorf("%d requests, %d conflicts, %d errors", r.Requests, r.Conflicts, r.Failed())
	}
	if reply, err := (protocol.Methods{Handler: m}).Load(t.Context(), bench.Prefix+"000000000000"); err != nil || reply.Revision != 101 {
		t.Errorf("the agent has revision %d, %v, want one for the fill and each request", reply.Revision, err)
	}
	if r.Bytes != r.Operations*100 || r.Operations != 200+r.Conflicts {
		t.Errorf("%d operations, %d bytes", r.Operations, r.Bytes)
	}
}

// TestRun_observations are taken before and after what is measured, and left out when the store tells nothing.
func TestRun_observations(t *testing.T) {
	o := options()
	o.Requests = 10
	m := newMemory()
	m.observations = []bench.Observation{{Durability: "full", Batches: 7, Requests: 20}, {Durability: "full", Batches: 9, Requests: 30, DBBytes: 44}}
	r := mustRun(t, m.target(), o)
	if r.Store == nil || r.Store.Commits != 2 || r.Store.MeanBatch != 5 || r.Store.DBBytes != 44 {
		t.Errorf("got %+v", r.Store)
	}
	if r := mustRun(t, m.target(), o); r.Store != nil {
		t.Errorf("a store that tells nothing: got %+v", r.Store)
	}
	target := m.target()
	target.Observe = nil
	if r := mustRun(t, target, o); r.Store != nil {
		t.Errorf("a store that cannot be asked: got %+v", r.Store)
	}
}

func TestOthers(t *testing.T) {
	own := bench.Prefix + "000000000007"
	for name, tc := range map[string]struct {
		ids  []string
		want string
	}{
		"nobody": {nil, ""}, "our own": {[]string{own}, ""}, "before": {[]string{"alice", own}, "alice"}, "behind": {[]string{own, "zoe"}, "zoe"},
		"ours, nearly": {[]string{own, bench.Prefix + "x"}, bench.Prefix + "x"},
	} {
		m := newMemory()
		for _, id := range tc.ids {
			m.Put(id, "{}")
		}
		if got, err := bench.Others(t.Context(), m); err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tc.want)
		}
	}
}

// TestRemove deletes the benchmark's own agents, though there are pages of others between.
func TestRemove(t *testing.T) {
	m := newMemory()
	o := options()
	o.Agents, o.Requests = 2500, 1
	mustRun(t, m.target(), o)
	others := []string{"alice", "zoe", bench.Prefix + "x"}
	for n := range 1100 {
		others = append(others, bench.Prefix+strings.Repeat("!", n%400+1)+string(rune('a'+n/400)))
	}
	for _, id := range others {
		m.Put(id, "{}")
	}
	if n, err := bench.Remove(t.Context(), m); err != nil || n != 2500 || m.Len() != len(others) {
		t.Errorf("removed %d of 2500, %v; %d agents are left, of %d others", n, err, m.Len(), len(others))
	}
	if n, err := bench.Remove(t.Context(), m); err != nil || n != 0 {
		t.Errorf("again: removed %d, %v", n, err)
	}
}
