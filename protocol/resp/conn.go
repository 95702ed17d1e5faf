package resp

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one client. Two goroutines serve it: the reader parses commands, the executor performs them. Between
// them is a channel of runs, so that the reader is at most a few runs ahead.
type conn struct {
	srv     *Server
	nc      net.Conn
	id      int64
	since   time.Time
	runs    chan []*command // closed by the reader at the end of the input
	account account
	about   about

	patience patience

	// life is the parent of every request's context. It is kept here since both goroutines and Shutdown need it.
	life   context.Context
	cancel context.CancelFunc
	// reading ends when no further command is to be read.
	reading     context.Context
	stopReading context.CancelFunc
	draining    atomic.Bool
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		srv:     s,
		nc:      nc,
		id:      s.lastID.Add(1),
		since:   time.Now(),
		runs:    make(chan []*command, 1),
		account: account{budget: s.budget},
	}
	c.about.proto = 2
	c.about.active, c.about.queued = c.since, -1
	c.life, c.cancel = context.WithCancel(context.Background())
	c.reading, c.stopReading = context.WithCancel(c.life)
	return c
}

// serve blocks until the client is gone or told to go, and both goroutines have ended.
func (c *conn) serve() {
	var reader sync.WaitGroup
	reader.Go(func() { c.read() })
	polite := c.execute()
	c.cancel()
	if polite {
		c.linger()
	}
	_ = c.nc.Close() // nothing is lost: what matters was flushed or cannot be
	reader.Wait()
	c.account.close()
}

const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// linger lets the last reply arrive: to close a socket while input waits in it would destroy the reply on its way.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.nc, lingerBytes)
}

// drain makes the reader stop, as if the input had ended.
func (c *conn) drain() {
	c.draining.Store(true)
	c.stopReading()
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// patience tells whether the client may take its time: not while it holds memory that others wait for. A client
// that is idle, or in the middle of something small, may.
type patience struct {
	mu      sync.Mutex
	command bool // a large command was read by half
	multi   bool // a large transaction is queued
	limited bool // a read deadline is set
}

// hurry changes the patience. While there is none, more input must come within the request timeout, from now on.
func (c *conn) hurry(change func(*patience)) {
	p := &c.patience
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
	limit := p.command || p.multi
	if !limit && !p.limited {
		return
	}
	var at time.Time
	if limit {
		at = time.Now().Add(c.srv.opts.RequestTimeout)
	}
	p.limited = limit
	_ = c.nc.SetReadDeadline(at) // if it fails, so does the read
	if c.draining.Load() {
		c.drain() // it may have been undone just now
	}
}

// cut ends the connection and cancels its requests.
func (c *conn) cut() {
	c.cancel()
	_ = c.nc.Close()
}

// about is what other connections may see of this one.
type about struct {
	mu      sync.Mutex
	name    string
	lib     string
	libVer  string
	command string
	active  time.Time
	proto   int
	queued  int // commands in MULTI, -1 outside
	watched int
}

// update changes it under its lock.
func (a *about) update(change func(*about)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}
