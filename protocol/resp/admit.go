package resp

import (
	"net"
	"time"

	"github.com/stated/stated/protocol"
)

// admit gives a new client its goroutines, or refuses it. It never blocks: the next client is waiting.
func (s *Server) admit(nc net.Conn) {
	if !s.opts.Connections.Enter() {
		s.rejected.Add(1)
		s.opts.Refused(protocol.CodeOverloaded)
		s.refuse(nc)
		return
	}
	c := newConn(s, nc)
	if !s.add(c) {
		s.opts.Connections.Leave()
		c.cut()
		return
	}
	s.accepted.Add(1)
	go func() {
		defer s.running.Done()
		defer s.remove(c)
		c.serve()
	}()
}

// add makes a connection one of the server's, unless that is stopping.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.opts.Connections.Leave()
}

// refuse tells a client that there is no room, which over TLS takes a handshake. When very many clients are being told
// that, it closes the connection without a word.
func (s *Server) refuse(nc net.Conn) {
	select {
	case s.refusals <- struct{}{}:
	default:
		_ = raw(nc).Close()
		return
	}
	s.mu.Lock()
	stopping := s.stopping
	if !stopping {
		s.running.Add(1)
	}
	s.mu.Unlock()
	if stopping {
		<-s.refusals
		_ = raw(nc).Close()
		return
	}
	go func() {
		defer s.running.Done()
		defer func() { <-s.refusals }()
		s.sayNoRoom(nc)
	}()
}

const refusalTime = time.Second

// sayNoRoom blocks for about twice the refusal time at most.
func (s *Server) sayNoRoom(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(refusalTime))
	if _, err := nc.Write([]byte("-" + string(errMaxClients) + "\r\n")); err == nil {
		linger(nc)
	}
	_ = raw(nc).Close()
}
