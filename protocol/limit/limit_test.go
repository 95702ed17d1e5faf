package limit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/limit"
)

func TestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBytes(10, time.Second)
		if !b.TryAcquire(6) || b.TryAcquire(5) {
			t.Fatal("6 of 10 bytes do not fit, or 5 more do")
		}
		start := time.Now()
		err := b.Acquire(t.Context(), 5)
		if !errors.Is(err, protocol.CodeOverloaded) || time.Since(start) != time.Second {
			t.Errorf("no room: %v after %v", err, time.Since(start))
		}
		if err := b.Acquire(t.Context(), 11); !errors.Is(err, protocol.CodeOverloaded) || time.Since(start) != time.Second {
			t.Errorf("more than there is: %v after %v", err, time.Since(start))
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Acquire(ended, 5); !errors.Is(err, protocol.CodeOverloaded) {
			t.Errorf("its context has ended: %v", err)
		}
		got := make(chan error)
		go func() { got <- b.Acquire(t.Context(), 5) }()
		synctest.Wait()
		b.Release(6)
		if err := <-got; err != nil {
			t.Errorf("with room: %v", err)
		}
	})
}

func TestConnections(t *testing.T) {
	c := limit.NewConnections(2)
	for i, want := range []bool{true, true, false, false} {
		if got := c.Enter(); got != want {
			t.Errorf("connection %d of 2: %v", i+1, got)
		}
	}
	c.Leave()
	if !c.Enter() || c.Enter() || c.Most() != 2 {
		t.Error("not one more after one has left")
	}
}
