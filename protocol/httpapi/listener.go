package httpapi

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/stated/stated/protocol"
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
			_, secure := nc.(*tls.Conn)
			return &conn{Conn: nc, s: l.s, secure: secure}, nil
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
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.s.open.Add(-1)
		c.s.opts.Connections.Leave()
	})
	return c.Conn.Close()
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
