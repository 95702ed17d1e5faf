package httpapi

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
)

// Server lets HTTP clients talk to a handler. All of its methods may be called from several goroutines.
type Server struct {
	handler protocol.Handler
	opts    Options
	routes  routes
	warn    zerolog.Logger // of what clients can cause as often as they like
	http    *http.Server
	life    context.Context // ends when what is left is cut
	cut     context.CancelFunc

	leaving context.Context // ends when Shutdown begins
	leave   context.CancelFunc

	stopping atomic.Bool
	open     atomic.Int64 // connections
	running  sync.WaitGroup
	refusals chan struct{} // room for connections that are being told that there are too many

	mu    sync.Mutex
	ended bool                  // no request may begin
	fresh map[net.Conn]struct{} // connections that have not sent a byte yet
}

// New makes a server that hands its clients' requests to h. It starts nothing: see [Server.Serve].
func New(h protocol.Handler, o Options) *Server {
	s := &Server{
		handler: h, opts: o.withDefaults(), routes: newRoutes(),
		warn:     o.Logger.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Second}),
		refusals: make(chan struct{}, 64), fresh: map[net.Conn]struct{}{},
	}
	s.life, s.cut = context.WithCancel(context.Background())
	s.leaving, s.leave = context.WithCancel(s.life)
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return s.life },
		ConnContext:       withConn,
		ConnState:         s.noteFresh,
		ErrorLog:          log.New(io.Discard, "", 0), // what clients do wrong; handlers log what matters
	}
	return s
}

// Serve accepts clients until the listener fails or [Server.Shutdown] is called; then it returns nil. It closes
// the listener in either case. A server may serve several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(&listener{Listener: l, s: s})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Connections is how many clients are connected.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Shutdown stops accepting, lets each request that has begun end, and closes its connection. It blocks until every
// connection is closed. When ctx ends first, it cuts the connections that are left, cancels their requests and
// returns the error of ctx. No request is being performed when it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	s.leave()
	s.closeFresh()
	err := s.http.Shutdown(ctx)
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	_ = s.http.Close() // what is left, if anything: before its requests end, so that none is answered that was cut
	s.cut()
	s.running.Wait()
	return err
}

// begin counts one more request, or connection to refuse, that Shutdown has to wait for.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.running.Add(1)
	}
	return !s.ended
}

// noteFresh remembers connections that have sent nothing. Shutdown of net/http would wait for them.
func (s *Server) noteFresh(nc net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fresh, nc)
	if state != http.StateNew {
		return
	}
	if s.stopping.Load() {
		_ = nc.Close()
		return
	}
	s.fresh[nc] = struct{}{}
}

func (s *Server) closeFresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.fresh {
		_ = nc.Close() // it has asked for nothing
	}
}
