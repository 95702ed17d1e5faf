package resp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stated/stated/protocol"
)

// Server lets Redis clients talk to a handler. All of its methods may be called from several goroutines.
type Server struct {
	handler protocol.Handler
	opts    Options
	table   table
	buffers sync.Pool // of *[]byte, for replies; idle connections hold none
	started time.Time
	runID   string        // for INFO
	stop    chan struct{} // closed when Shutdown begins

	lastID   atomic.Int64
	accepted atomic.Int64
	rejected atomic.Int64
	commands atomic.Int64

	failed         failedAuths
	deniedCommands atomic.Int64
	refusals       chan struct{} // a place for each client that is being told that there is no room

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	running   sync.WaitGroup // one for each entry of conns, and for each client that is refused
}

// New makes a server that hands its clients' requests to h. It starts nothing: see [Server.Serve].
func New(h protocol.Handler, o Options) *Server {
	o = o.withDefaults()
	return &Server{
		handler:   h,
		opts:      o,
		table:     newTable(),
		buffers:   sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }},
		started:   time.Now(),
		runID:     newRunID(),
		refusals:  make(chan struct{}, maxRefusals),
		stop:      make(chan struct{}),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
	}
}

// newRunID makes a random name for this run, in Redis's form.
func newRunID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// Serve accepts clients until the listener fails or [Server.Shutdown] is called; then it returns nil. It closes
// the listener in either case. A server may serve several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close() //nolint:errcheck // closed twice when Shutdown was first
	if !s.addListener(l) {
		return nil
	}
	defer s.removeListener(l)
	var delay time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			delay = 0
			s.admit(nc)
		case s.isStopping():
			return nil
		case !passes(err):
			return err
		default:
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			s.opts.Logger.Warn().Err(err).Dur("delay", delay).Msg("cannot accept a connection")
			s.pause(delay)
		}
	}
}

// passes reports whether the next Accept may succeed: this one failed by a lack of something, or by its client.
func passes(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (s *Server) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stop:
	}
}

// Shutdown stops accepting, lets each connection answer the commands that it has read so far, and closes it. It
// blocks until every connection is closed. When ctx ends first, it cuts the connections that are left, cancels
// their requests and returns the error of ctx. No goroutine of the server is left when it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.beginStop() {
		c.drain()
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.clients() {
		c.cut()
	}
	<-done
	return ctx.Err()
}

func (s *Server) beginStop() []*conn {
	s.mu.Lock()
	if !s.stopping {
		s.stopping = true
		close(s.stop)
		for l := range s.listeners {
			_ = l.Close() // Serve closes it again and nobody needs to know
		}
	}
	s.mu.Unlock()
	return s.clients()
}

// clients are the connections there are now, in no order.
func (s *Server) clients() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Connections is how many clients are connected now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}
