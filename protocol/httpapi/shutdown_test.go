package httpapi_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// blocking is a handler whose requests for the agent "slow" wait.
func blocking() (m *protocoltest.Memory, begun, goOn chan struct{}) {
	m, begun, goOn = protocoltest.New(), make(chan struct{}, 1), make(chan struct{})
	m.Before = func(ctx context.Context, r *protocol.Request) *protocol.Reply {
		if r.Op().ID() != "slow" {
			return nil
		}
		begun <- struct{}{}
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			return &protocol.Reply{Err: protocol.AsError(ctx.Err())}
		}
	}
	return m, begun, goOn
}

func TestShutdown(t *testing.T) {
	m, begun, goOn := blocking()
	s := serve(t, m, httpapi.Options{})
	fresh, idle := s.connect(), s.connect()
	idle.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	s.want(idle.reply("GET"), 200, "ok")
	busy := s.connect()
	busy.send("PUT /v1/agents/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
	<-begun

	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	down := make(chan error)
	go func() { down <- s.Shutdown(ctx) }()
	fresh.ended()
	idle.ended()
	if c, err := net.Dial("tcp", s.addr); err == nil {
		_ = c.Close()
		t.Error("it still accepts")
	}
	close(goOn)
	s.want(busy.reply("PUT"), 201, `"revision":1`)
	busy.ended()
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// TestShutdown_Lingering: what a client goes on sending although it was refused is not waited for.
func TestShutdown_Lingering(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{StateBytes: 10, RequestTimeout: 10 * guard})
	w := s.connect()
	w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n1")
	s.want(w.reply("PUT"), 413, "limits.state_bytes")
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestShutdown_Cuts: when the time is up, what is left is canceled, and nothing runs any more.
func TestShutdown_Cuts(t *testing.T) {
	m, begun, _ := blocking()
	s := serve(t, m, httpapi.Options{})
	busy := s.connect()
	busy.send("GET /v1/count HTTP/1.1\r\nHost: localhost\r\n\r\n")
	s.want(busy.reply("GET"), 200, "")
	busy.send("GET /v1/agents/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	busy.ended()
}

// TestShutdown_Ready: the probe turns red for those whose requests are still performed.
func TestShutdown_Ready(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}
