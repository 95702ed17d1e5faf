package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/limit"
)

// listener counts the connections that it accepts, and refuses those for which there is no room.
type listener struct {
	net.Listener
	s *Server
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.s.opts.Connections.Enter() {
			l.s.open.Add(1)
			return newConn(l.s, nc), nil
		}
		l.s.refuse(nc)
	}
}

// conn is a connection that has been counted.
type conn struct {
	net.Conn
	s      *Server
	secure bool // TLS
	once   sync.Once

	life context.Context // ends when the client has left, or is cut
	end  context.CancelFunc
	step *limit.Step // of the request at work, or of an earlier one; nil if it cannot be used again
}

func newConn(s *Server, nc net.Conn) *conn {
	_, secure := nc.(*tls.Conn)
	c := &conn{Conn: nc, s: s, secure: secure}
	c.life, c.end = context.WithCancel(s.life)
	return c
}

// begin gives the context of a request, of which there is one at a time (HTTP/2 is off), and starts its time.
func (c *conn) begin(timeout time.Duration) context.Context {
	if c.step == nil {
		c.step = limit.NewStep(c.life, timeout)
	} else {
		c.step.Restart(timeout)
	}
	return c.step
}

// finish ends the time of the request.
func (c *conn) finish() {
	if !c.step.Stop() {
		c.step = nil
	}
}

// Read implements net.Conn. While a request is performed net/http reads on, which is how a client is seen to leave. It
// stops that by a deadline.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.end()
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.end() // a request that it ends has nobody to answer any more
	c.once.Do(func() {
		c.s.open.Add(-1)
		c.s.opts.Connections.Leave()
	})
	return err
}

// CloseWrite tells the client that no more will come, which net/http does before it closes a connection whose input it
// has not read: to close it at once would destroy the reply on its way.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// connOf gives the connection of a request; nil for one that did not come over a listener of ours.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

const (
	refuseTime  = time.Second
	refuseBytes = 64 << 10
)

// refuse tells a client that there are too many, without holding up the others: if many are to be told at once, or
// it would take a handshake, the connection is just closed.
func (s *Server) refuse(nc net.Conn) {
	s.opts.Refused(protocol.CodeOverloaded)
	select {
	case s.refusals <- struct{}{}:
	default:
		_ = nc.Close()
		return
	}
	if !s.begin() {
		_ = nc.Close()
		<-s.refusals
		return
	}
	go func() {
		defer s.running.Done()
		defer func() { <-s.refusals }()
		defer nc.Close() //nolint:errcheck // nothing depends on it
		half, ok := nc.(interface{ CloseWrite() error })
		if _, secure := nc.(*tls.Conn); secure || !ok || nc.SetDeadline(time.Now().Add(refuseTime)) != nil {
			return
		}
		if _, err := nc.Write(tooManyConnections()); err == nil && half.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, nc, refuseBytes) // to close while input waits would destroy the reply on its way
		}
	}()
}
