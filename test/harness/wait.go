package harness

import (
	"context"
	"testing"
	"time"
)

// Guarded gives a context that is a guard against hanging, for what should end at once.
func Guarded(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	tb.Cleanup(cancel)
	return ctx
}

// Eventually repeats a question, with growing pauses, until the answer is yes.
func Eventually(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	guard := time.NewTimer(Patience)
	defer guard.Stop()
	for pause := time.Millisecond; !yes(); pause = min(2*pause, 100*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-guard.C:
			tb.Fatalf("in vain: %s", what)
		}
	}
}
