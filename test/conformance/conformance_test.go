package conformance_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/conformance"
	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	// As in a program, before the first file is opened.
	if _, err := sqlite.OFDLocking(true); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const guard = 30 * time.Second

func TestActor(t *testing.T) { conformance.Run(t, inProcess) }
func TestRESP(t *testing.T)  { conformance.Run(t, behind(overRESP)) }
func TestHTTP(t *testing.T)  { conformance.Run(t, behind(overHTTP)) }

func TestRESP_errors(t *testing.T) { conformance.RunErrors(t, handlerOf(overRESP)) }
func TestHTTP_errors(t *testing.T) { conformance.RunErrors(t, handlerOf(overHTTP)) }

func TestCompare(t *testing.T) {
	seed := harness.Random(t).Uint64()
	handlers := map[string]protocol.Handler{"actor": inProcess(t).Handler}
	for name, front := range map[string]front{"RESP": overRESP, "HTTP": overHTTP} {
		handlers[name] = behind(front)(t).Handler
	}
	conformance.Compare(t, seed, 1_000, handlers)
}

// inProcess is an actor over a store in a file of its own, which is checked at the end.
func inProcess(tb testing.TB) conformance.Fixture {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "agents.db")
	// What a power cut would leave is not the business of these tests.
	s, err := store.Open(tb.Context(), path, harness.Settings(store.Options{Readers: 2, Durability: store.DurabilityOff}))
	if err != nil {
		tb.Fatal(err)
	}
	a := actor.New(s, actor.Options{})
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			tb.Errorf("close the actor: %v", err)
		}
	}
	tb.Cleanup(func() {
		stop()
		if err := s.Close(); err != nil {
			tb.Errorf("close the store: %v", err)
		}
		report, err := store.Check(context.Background(), path, store.Options{Readers: 1}, true)
		if err != nil || len(report.Problems) > 0 {
			tb.Errorf("the file is damaged: %v, %+v", err, report)
		}
	})
	return conformance.Fixture{
		Handler: a, Skips: true, Scans: true, Bulk: protocol.MaxBulkOps, Close: stop, Stop: stop,
	}
}

// front puts a server and a client of it in front of a handler.
type front func(tb testing.TB, h protocol.Handler) conformance.Fixture

// behind is a store behind a front end.
func behind(f front) func(tb testing.TB) conformance.Fixture {
	return func(tb testing.TB) conformance.Fixture {
		tb.Helper()
		direct := inProcess(tb)
		fixture := f(tb, direct.Handler)
		fixture.Stop = direct.Stop
		return fixture
	}
}

func handlerOf(f front) func(tb testing.TB, h protocol.Handler) protocol.Handler {
	return func(tb testing.TB, h protocol.Handler) protocol.Handler { return f(tb, h).Handler }
}

func overRESP(tb testing.TB, h protocol.Handler) conformance.Fixture {
	tb.Helper()
	addr := serve(tb, resp.New(h, resp.Options{}))
	c, err := resp.Dial(tb.Context(), addr, resp.ClientOptions{})
	return fixtureOf(tb, c, err, conformance.Fixture{Skips: true, Bulk: protocol.MaxTxnOps})
}

func overHTTP(tb testing.TB, h protocol.Handler) conformance.Fixture {
	tb.Helper()
	addr := serve(tb, httpapi.New(h, httpapi.Options{}))
	c, err := httpapi.Dial(tb.Context(), "http://"+addr, httpapi.ClientOptions{})
	return fixtureOf(tb, c, err, conformance.Fixture{Bulk: protocol.MaxTxnOps})
}

type client interface {
	protocol.Handler
	Close() error
}

func fixtureOf(tb testing.TB, c client, err error, f conformance.Fixture) conformance.Fixture {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	f.Handler = c
	f.Close = func() { _ = c.Close() } // it always gives nil
	tb.Cleanup(f.Close)
	return f
}

type server interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
}

// serve runs a server on a free port until the end of the test.
func serve(tb testing.TB, s server) (addr string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(l); err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Errorf("shut down: %v", err)
		}
		running.Wait()
	})
	return l.Addr().String()
}
