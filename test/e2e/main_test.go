// Package e2e shows that the promises hold for the whole: the real program as a process of its own, other processes on
// the same file, kills and locks at bad moments; and the same for a program that links the actor.
package e2e

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // for looking at files that nobody has open

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	if db := os.Getenv(crashChildFile); db != "" {
		crashChild(db)
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}

// within gives a context that ends with the test, and is a guard against hanging.
func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	tb.Cleanup(cancel)
	return ctx
}

// guarded is within for what should end at once.
func guarded(tb testing.TB) context.Context {
	tb.Helper()
	return within(tb, 2*harness.Patience)
}

// library opens a file as a program does that links the actor. It is closed at the end of the test, or by the function.
func library(tb testing.TB, db string, o store.Options) (a *actor.Actor, closeIt func()) {
	tb.Helper()
	s, err := store.Open(guarded(tb), db, harness.Settings(o))
	if err != nil {
		tb.Fatal(err)
	}
	a = actor.New(s, actor.Options{})
	closed := false
	closeIt = func() {
		if closed {
			return
		}
		closed = true
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			tb.Errorf("close the actor: %v", err)
		}
		if err := s.Close(); err != nil {
			tb.Errorf("close the store: %v", err)
		}
	}
	tb.Cleanup(closeIt)
	return a, closeIt
}

// service is a way to the agents: through a daemon, or in this process. stop lets nobody use the file any more.
type service struct {
	protocol.Methods
	stop func()
	addr string // of the daemon
}

// bothWays runs a test through the daemon and in-process, on a file of its own that prepare has seen before.
func bothWays(t *testing.T, prepare func(t *testing.T, db string), test func(t *testing.T, db string, s service)) {
	t.Helper()
	t.Run("daemon", func(t *testing.T) {
		db := harness.File(t)
		prepare(t, db)
		d := harness.Start(t, db)
		c := d.Client(t, resp.ClientOptions{Connections: 8})
		test(t, db, service{protocol.Methods{Handler: c}, func() { d.Stop(t) }, d.Addr})
	})
	t.Run("library", func(t *testing.T) {
		db := harness.File(t)
		prepare(t, db)
		a, stop := library(t, db, store.Options{})
		test(t, db, service{protocol.Methods{Handler: a}, stop, ""})
	})
}

func newFile(*testing.T, string) {}

// look opens a file that this process does not have open, with plain SQLite.
func look(tb testing.TB, db string) *sql.DB {
	tb.Helper()
	query := url.Values{"_pragma": {"busy_timeout(5000)"}}
	s, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: db, RawQuery: query.Encode()}).String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() }) // it was only read
	return s
}

// number gives the one number that a query has for an answer.
func number(tb testing.TB, db *sql.DB, query string, args ...any) int64 {
	tb.Helper()
	var n int64
	if err := db.QueryRowContext(guarded(tb), query, args...).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// eventually repeats a question, with growing pauses, until the answer is yes.
func eventually(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	ctx := within(tb, harness.Patience)
	for pause := time.Millisecond; !yes(); pause = min(2*pause, 100*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			tb.Fatalf("in vain: %s", what)
		}
	}
}
