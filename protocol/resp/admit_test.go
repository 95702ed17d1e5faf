package resp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/limit"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

// Clients beyond the limit are told so beside the accept loop: those who do not listen hold nobody up, and are not waited for
// without bound.
func TestServer_refusalsDoNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveOn(t, l, protocoltest.New(), resp.Options{Connections: limit.NewConnections(1)})
		start := time.Now()
		in := newPeer(t, l.dial())
		in.ask("PING")
		silent := make([]net.Conn, 100)
		for i := range silent {
			silent[i] = l.dial()
			defer silent[i].Close()
		}
		synctest.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("100 silent clients held the listener up for %v", took)
		}
		const full = "-ERR max number of clients reached\r\n"
		if got, err := io.ReadAll(silent[0]); string(got) != full || err != nil {
			t.Errorf("the first one was told %q, %v", got, err)
		}
		if got, err := io.ReadAll(silent[99]); len(got) > 0 || err != nil { // 64 at the same time
			t.Errorf("the last one was told %q, %v", got, err)
		}
		time.Sleep(10 * time.Second)
		if got, err := io.ReadAll(silent[1]); len(got) > 0 || err != nil {
			t.Errorf("one was still waited for: %q, %v", got, err)
		}
		if got := newPeer(t, l.dial()).rest(); got != full {
			t.Errorf("another one was told %q", got)
		}
		if got := in.ask("PING"); got != "+PONG\r\n" {
			t.Errorf("the one inside: %q", got)
		}
	})
}

func TestServer_tooManyClientsTLS(t *testing.T) {
	addr, settings := serveTLS(t, resp.Options{Connections: limit.NewConnections(1)})
	in := dial(t, addr, resp.ClientOptions{TLS: settings})
	for range 10 {
		connect(t, addr) // says nothing
	}
	_, err := resp.Dial(t.Context(), addr, resp.ClientOptions{TLS: settings})
	if !errors.Is(err, protocol.CodeUnavailable) || !strings.Contains(err.Error(), "max number of clients reached") {
		t.Errorf("Dial: %v", err)
	}
	if _, err := in.Count(t.Context(), ""); err != nil {
		t.Errorf("the one inside: %v", err)
	}
}

// A client that does not shake hands does not keep its place, and one that takes nothing does not delay the end.
func TestServer_slowTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	clientTLS.ServerName = "127.0.0.1"
	synctest.Test(t, func(t *testing.T) {
		f := protocoltest.New()
		f.Put("a", `"`+strings.Repeat("x", 1<<20)+`"`)
		l := newPipeListener()
		s := serveOn(t, tls.NewListener(l, serverTLS), f, resp.Options{RequestTimeout: 10 * time.Second})
		start := time.Now()
		silent := newPeer(t, l.dial())
		if got := silent.rest(); got != "" || time.Since(start) != 10*time.Second {
			t.Errorf("closed after %v with %q", time.Since(start), got)
		}
		idle := newPeer(t, tls.Client(l.dial(), clientTLS)) // which does not take the goodbye either
		idle.ask("PING")
		p := newPeer(t, tls.Client(l.dial(), clientTLS))
		p.send("GET a\r\n")
		synctest.Wait()
		start = time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("Shutdown took %v: %v", time.Since(start), err)
		}
	})
}
