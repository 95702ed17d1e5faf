package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// service opens the file anew. Each client gets a handler, and end ends all of them in the middle of their work.
type service func(t *testing.T, db string, impatient bool) (handlers []protocol.Handler, end func())

// killed is a daemon that ends by kill -9.
func killed(t *testing.T, db string, impatient bool) ([]protocol.Handler, func()) {
	d, handlers := serve(t, db, impatient)
	return handlers, d.Kill
}

// terminated is a daemon that ends as an init system ends it.
func terminated(t *testing.T, db string, impatient bool) ([]protocol.Handler, func()) {
	d, handlers := serve(t, db, impatient)
	return handlers, func() { d.Stop(t) }
}

func serve(t *testing.T, db string, impatient bool) (*harness.Daemon, []protocol.Handler) {
	t.Helper()
	args := []string{"--log-level", "info"}
	if impatient {
		args = append(args, "--set", "timeouts.state_store_lock=0.05", "--set", "timeouts.state_store_retry_max=1",
			"--set", "timeouts.state_store_retry_base=0.02")
	}
	d := harness.Start(t, db, args...)
	handlers := make([]protocol.Handler, clients)
	for i := range handlers {
		handlers[i] = d.Client(t, resp.ClientOptions{})
	}
	return d, handlers
}

// library is the actor and the store in this process.
func library(t *testing.T, db string, impatient bool) ([]protocol.Handler, func()) {
	var o store.Options
	if impatient {
		o.LockTimeout = 50 * time.Millisecond
		o.Retry = store.Retry{Max: 1, Base: 20 * time.Millisecond, MaxDelay: 20 * time.Millisecond}
	}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	s, err := store.Open(ctx, db, harness.Settings(o))
	if err != nil {
		t.Fatal(err)
	}
	a := actor.New(s, actor.Options{})
	handlers := make([]protocol.Handler, clients)
	for i := range handlers {
		handlers[i] = a
	}
	return handlers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// scenario is what happens while the clients work.
type scenario struct {
	impatient bool // the lock budget is short
	rounds    int  // how often the service is ended in the middle, and begun anew
	fewer     int  // one in so many operations: it is slow
	beside    func(t *testing.T, db string, r *running, n int)
}

// plainly is nothing special.
func plainly(*testing.T, string, *running, int) {}

// stoppedHolder has another process take the write lock and be stopped, twice: then it goes on, or is killed.
func stoppedHolder(t *testing.T, db string, r *running, n int) {
	for i := range 2 {
		r.until(t, (i+1)*n/3)
		holder := outside(t, "hold", db)
		holder.Line(t, "held")
		holder.Signal(t, syscall.SIGSTOP)
		r.allowAll()
		told := r.h.outcomes.Count(protocol.CodeLocked)
		eventually(t, "each client is told LOCKED", func() bool {
			return r.h.outcomes.Count(protocol.CodeLocked) >= told+clients
		})
		r.allow(0)
		if i == 0 {
			holder.CloseInput()
			holder.Signal(t, syscall.SIGCONT)
			holder.Line(t, "released")
		} else {
			holder.Kill()
		}
	}
}

// outsider has another process change other agents of the same file, so that revisions interleave.
func outsider(t *testing.T, db string, r *running, n int) {
	p := outside(t, "save", db, "outsider", fmt.Sprint(1_000_000))
	eventually(t, "the outsider writes", func() bool {
		n, err := protocol.Methods{Handler: r.to}.Count(t.Context(), "outsider-")
		return err == nil && n > 0
	})
	r.until(t, n)
	p.Kill()
}

// outside runs test/outsider.
func outside(t *testing.T, args ...string) *harness.Process {
	t.Helper()
	return harness.Spawn(t, harness.Command{Path: harness.Build(t, harness.Outsider), Args: args})
}

// TestLinear has eight clients meet at a few agents, and looks for an order of all that they did, one after the other,
// that explains every reply.
func TestLinear(t *testing.T) {
	scenarios := map[string]scenario{
		"plain":          {rounds: 1, fewer: 1, beside: plainly},
		"ended":          {rounds: 5, fewer: 1, beside: plainly},
		"stopped holder": {rounds: 2, fewer: 1, beside: stoppedHolder, impatient: true},
		"outsider":       {rounds: 2, fewer: 6, beside: outsider},
	}
	harness.Build(t, harness.Outsider) // now, not while clients wait for it
	services := map[string]service{"killed": killed, "terminated": terminated, "library": library}
	histories, operations := 1, 600
	if harness.Long() {
		histories, operations = 8, 1_800
	}
	for what, s := range scenarios {
		for how, open := range services {
			t.Run(what+"/"+how, func(t *testing.T) {
				t.Parallel()
				random := harness.Random(t)
				for range histories {
					oneHistory(t, random, s, open, operations/s.fewer)
				}
			})
		}
	}
}

func oneHistory(t *testing.T, random *rand.Rand, s scenario, open service, operations int) {
	t.Helper()
	db := harness.File(t)
	h := newHistory()
	all := newClients(random, s.impatient)
	for range s.rounds {
		handlers, end := open(t, db, s.impatient)
		r := h.start(t, all, handlers)
		n := operations / s.rounds
		s.beside(t, db, r, n)
		r.until(t, n)
		r.end(t, end)
	}
	begun := time.Now()
	if err := h.verify(patient); err != nil {
		t.Error(err)
	}
	t.Logf("%d operations in the history, checked in %v; changes: %v",
		h.size(), time.Since(begun).Round(time.Millisecond), &h.outcomes)
	if h.outcomes.Count("") == 0 || h.outcomes.Count(protocol.CodeConflict) == 0 {
		t.Error("no change was applied, or none met a conflict: the history shows nothing")
	}
}
