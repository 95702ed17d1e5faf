// Package damage shows what comes of damaged files: flipped bits, lost sectors and pages, logs that were cut, files that
// are something else. Whatever was done to a file, the answer is an error that says so, or the right data.
package damage

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	if _, err := sqlite.OFDLocking(true); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}

// guarded gives a context that is a guard against hanging.
func guarded(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	tb.Cleanup(cancel)
	return ctx
}

// options do not wait for locks: nobody else has the file.
func options() store.Options {
	return harness.Settings(store.Options{
		Readers: 1, LockTimeout: -1, Retry: store.Retry{Max: 1, Base: time.Millisecond, MaxDelay: time.Millisecond},
	})
}

// library opens a file as a program does that links the actor.
func library(tb testing.TB, db string) (m protocol.Methods, closeIt func(), err error) {
	tb.Helper()
	s, err := store.Open(guarded(tb), db, options())
	if err != nil {
		return m, nil, err
	}
	a := actor.New(s, actor.Options{})
	return a.Methods, func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			tb.Errorf("close the actor: %v", err)
		}
		_ = s.Close() // a damaged file may not be closed cleanly
	}, nil
}

// long gives one number for a plain run, and another one for -long or the system tag.
func long(short, long int) int {
	if thorough || harness.Long() {
		return long
	}
	return short
}

var clientOptions = resp.ClientOptions{Connections: 4}

// waitFor waits until a counter has reached n.
func waitFor(tb testing.TB, counter *atomic.Int64, n int64) {
	tb.Helper()
	ctx := guarded(tb)
	for pause := time.Millisecond; counter.Load() < n; pause = min(2*pause, 100*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			tb.Fatalf("in vain: %d of %d", counter.Load(), n)
		}
	}
}
