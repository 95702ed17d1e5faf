package resp_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

// TestTakeover: whenever another goroutine takes over the reading, in the middle of a command or while the one that performs it
// comes back to read on, each command is performed once and in order.
func TestTakeover(t *testing.T) {
	const chunks = 3000
	f := protocoltest.New()
	s, addr := serve(t, f, resp.Options{})
	requests := 0 // of the goroutine that has the turn
	f.Before = func(context.Context, *protocol.Request) *protocol.Reply {
		if requests++; requests%3 == 0 {
			s.Relieve()
			runtime.Gosched()
		}
		return nil
	}
	p := connect(t, addr)
	done, sent := make(chan struct{}), make(chan string, 1) // of what was sent, one or two wait for their answers
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				s.Relieve()
				runtime.Gosched()
			}
		}
	})
	wg.Go(func() {
		defer close(sent)
		for i := range chunks {
			var in, want strings.Builder
			for j := range 1 + i%4 {
				text := fmt.Sprint(10*i + j)
				in.WriteString(bulks("SET", "a", text) + bulks("GET", "a"))
				fmt.Fprintf(&want, "+OK\r\n$%d\r\n%s\r\n", len(text), text)
			}
			if _, err := io.WriteString(p, in.String()); err != nil {
				return
			}
			sent <- want.String()
		}
	})
	answered := 0
	for want := range sent {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(p.r, got); err != nil || string(got) != want {
			t.Errorf("the answer is %q (%v), not %q", got, err, want)
			p.Close()
		}
		answered++
	}
	if answered != chunks {
		t.Errorf("%d of %d were sent", answered, chunks)
	}
	close(done)
	wg.Wait()
}
