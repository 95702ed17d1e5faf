package httpapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// pipes is a listener whose connections are pipes in memory, so that the clock of a bubble applies to them.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// piped starts a server in a bubble, and gives a client of it that sees bytes.
func piped(t *testing.T, h protocol.Handler, o httpapi.Options) *wire {
	here, there := net.Pipe()
	return pipedBy(t, h, o, here, there)
}

// pipedTLS is the same by TLS.
func pipedTLS(t *testing.T, h protocol.Handler, o httpapi.Options) *wire {
	here, there := net.Pipe()
	return pipedBy(t, h, o, tls.Client(here, &tls.Config{InsecureSkipVerify: true}), //nolint:gosec // the certificate was made a moment ago
		tls.Server(there, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
}

func pipedBy(t *testing.T, h protocol.Handler, o httpapi.Options, here, there net.Conn) *wire {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	serveOn(t, p, h, o)
	p.conns <- there
	t.Cleanup(func() { _ = here.Close() })
	return &wire{t, here, bufio.NewReader(here)}
}

// TestTime_Deadline: a handler sees that the time is up, and not that the client has left: the first is LOCKED or
// OVERLOADED, which a client may repeat.
func TestTime_Deadline(t *testing.T) {
	for _, request := range []string{
		"GET /v1/agents/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1",
		"PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			m := protocoltest.New()
			m.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
				<-ctx.Done()
				if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("%.20q: the context ended by %v", request, ctx.Err())
				}
				return &protocol.Reply{Err: protocol.Errorf(protocol.CodeLocked, "the deadline passed")}
			}
			w := piped(t, m, httpapi.Options{RequestTimeout: time.Minute})
			for range 2 { // the connection goes on
				w.send(request)
				if a := w.reply("GET"); a.status != http.StatusServiceUnavailable {
					t.Errorf("%.20q: %d %s", request, a.status, a.body)
				}
			}
		})
	}
}

// TestTime_Again: each request of a connection has all of the time, and no more, whatever those before it have taken.
func TestTime_Again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = time.Minute
		m := protocoltest.New()
		var takes time.Duration
		m.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
			begun := time.Now()
			if until, ok := ctx.Deadline(); !ok || until.Sub(begun) != all {
				t.Errorf("the deadline is in %v", until.Sub(begun))
			}
			select {
			case <-ctx.Done():
				if took := time.Since(begun); took != all || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("the context ended by %v after %v", ctx.Err(), took)
				}
				return &protocol.Reply{Err: protocol.Errorf(protocol.CodeLocked, "the deadline passed")}
			case <-time.After(takes):
				return nil
			}
		}
		w := piped(t, m, httpapi.Options{RequestTimeout: all})
		for _, takes = range []time.Duration{all - 1, 0, all - 1, all + 1, all - 1, all + 1} {
			w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
			if a := w.reply("PUT"); (a.status == http.StatusServiceUnavailable) != (takes > all) {
				t.Errorf("%v: %d %s", takes, a.status, a.body)
			}
			time.Sleep(all) // between requests no time runs
		}
	})
}

// TestTime_Left: a handler sees at once that the client has left, in each request of a connection.
func TestTime_Left(t *testing.T) {
	const (
		get = "GET /v1/agents/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
		put = "PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1"
	)
	for name, tc := range map[string]struct {
		request string
		client  func(*testing.T, protocol.Handler, httpapi.Options) *wire
	}{"no body": {get, piped}, "a body": {put, piped}, "no body, TLS": {get, pipedTLS}, "a body, TLS": {put, pipedTLS}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := protocoltest.New()
				w := tc.client(t, m, httpapi.Options{RequestTimeout: time.Minute})
				for range 2 {
					w.send(tc.request)
					w.reply("GET")
				}
				begun, ended := time.Now(), make(chan error, 1)
				m.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
					_ = w.Close()
					<-ctx.Done()
					ended <- ctx.Err()
					return &protocol.Reply{Err: protocol.Errorf(protocol.CodeCanceled, "the client has left")}
				}
				w.send(tc.request)
				if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(begun) != 0 {
					t.Errorf("the context ended by %v after %v", err, time.Since(begun))
				}
			})
		})
	}
}

// TestTime_Continue: a client that does not even take the word that it may send its body is cut off.
func TestTime_Continue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, protocoltest.New(), httpapi.Options{RequestTimeout: time.Minute})
		w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
		time.Sleep(time.Minute + time.Second)
		w.ended()
	})
}

// TestTime_Unread: a body that nobody wants is not waited for without end.
func TestTime_Unread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, protocoltest.New(), httpapi.Options{RequestTimeout: time.Minute})
		begun := time.Now()
		w.send("GET /v1/count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
		_, _ = io.Copy(io.Discard, w.r)
		if took := time.Since(begun); took > 2*time.Minute {
			t.Errorf("closed after %v", took)
		}
	})
}
