package resp

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stated/stated/protocol/auth"
)

// conn is one client. There is always one goroutine that reads, and at most one that performs commands, by its turns.
// As a rule it is the same: one goroutine reads a run, performs it, and reads on. Only when that takes long does a
// second one take over the reading, see relieve.
type conn struct {
	srv     *Server
	nc      net.Conn
	id      int64
	since   time.Time
	in      *reader     // belongs to the goroutine that reads
	relief  *time.Timer // likewise; nil at first
	shift   atomic.Int64
	x       *executor // belongs to the goroutine that has the turn
	turns   turns
	others  sync.WaitGroup // the goroutines beside that of serve
	account account
	about   about
	// grant is what the client may do. The executor alone changes it; the reader asks whether the client is known.
	grant atomic.Pointer[auth.Grant]

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
		turns:   turns{room: make(chan struct{}, 1)},
		account: account{budget: s.opts.Inflight},
	}
	anonymous := s.opts.Tokens.Anonymous()
	c.grant.Store(&anonymous)
	c.about.proto, c.about.user = 2, anonymous.Name
	c.about.active, c.about.queued = c.since, -1
	c.life, c.cancel = context.WithCancel(context.Background())
	c.reading, c.stopReading = context.WithCancel(c.life)
	return c
}

// serve blocks until the client is gone or told to go, and all of its goroutines have ended.
func (c *conn) serve() {
	defer c.cancel()
	c.watchStranger()
	if !c.handshake() {
		_ = c.nc.Close()
		return
	}
	c.in, c.x = newReader(c), newExecutor(c)
	c.read()
	c.others.Wait()
	_ = c.nc.Close() // nothing is lost: what matters was flushed or cannot be
	c.account.close()
}

// reliefDelay is how long the goroutine that reads may perform commands before another one reads on. A client that
// waits for its replies sends nothing meanwhile; what there is to see is one that resets the connection, or sends more.
const reliefDelay = 10 * time.Millisecond

// startShift lets another goroutine take over the reading when this one has been performing for a while. One of them
// reads on: who moves shift from the odd number that this returns to the next one.
func (c *conn) startShift() int64 {
	shift := c.shift.Add(1)
	c.others.Add(1)
	if c.relief == nil {
		c.relief = time.AfterFunc(reliefDelay, c.relieve)
	} else {
		c.relief.Reset(reliefDelay)
	}
	return shift
}

// endShift reports whether this goroutine reads on.
func (c *conn) endShift(shift int64) bool {
	if !c.shift.CompareAndSwap(shift, shift+1) {
		return false
	}
	c.relief.Stop()
	c.others.Done()
	return true
}

// relieve is called by the timer: this goroutine reads on. A timer that was stopped too late may call it in a later
// shift, which does no harm.
func (c *conn) relieve() {
	shift := c.shift.Load()
	if shift%2 == 0 || !c.shift.CompareAndSwap(shift, shift+1) {
		return
	}
	defer c.others.Done()
	c.read()
}

// perform performs a run, and those that come meanwhile. The caller has the turn, which ends with it.
func (c *conn) perform(run []*command) {
	for run != nil {
		c.x.performAll(run)
		ended := c.x.ending || c.life.Err() != nil
		if !ended {
			run, ended = c.turns.next()
			ended = ended && run == nil
		}
		if ended {
			c.finish()
			return
		}
	}
}

// finish ends the connection when no more commands are to be performed. The turn is never free again.
func (c *conn) finish() {
	c.cancel()
	if c.x.polite && c.x.out.err == nil {
		linger(c.nc)
	}
	_ = c.nc.Close()
}

// handshake begins TLS, where there is any; it blocks for the request timeout at most. A client that takes its time
// would otherwise keep its place for nothing.
func (c *conn) handshake() bool {
	encrypted, ok := c.nc.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(c.reading, c.srv.opts.RequestTimeout)
	defer cancel()
	err := encrypted.HandshakeContext(ctx)
	if err != nil {
		c.srv.opts.Logger.Debug().Int64("client", c.id).Stringer("addr", c.nc.RemoteAddr()).Err(err).Msg("no TLS handshake")
	}
	return err == nil
}

const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// linger lets the last reply arrive: to close a socket while input waits in it would destroy the reply on its way.
func linger(nc net.Conn) {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, nc, lingerBytes)
}

// drain makes the reader stop, as if the input had ended.
func (c *conn) drain() {
	c.draining.Store(true)
	c.stopReading()
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// patience tells whether the client may take its time: not while it holds memory that others wait for, and not
// before it has authenticated. A client that is idle, or in the middle of something small, may.
type patience struct {
	mu      sync.Mutex
	command bool      // a large command was read by half
	multi   bool      // a large transaction is queued
	until   time.Time // when a client that has to authenticate must have done so; else zero
	limited bool      // a read deadline is set
}

// hurry changes the patience. While a client holds memory, more input must come within the request timeout, from
// now on.
func (c *conn) hurry(change func(*patience)) {
	p := &c.patience
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
	at := p.until
	if p.command || p.multi {
		if next := time.Now().Add(c.srv.opts.RequestTimeout); at.IsZero() || next.Before(at) {
			at = next
		}
	}
	limit := !at.IsZero()
	if !limit && !p.limited {
		return
	}
	p.limited = limit
	_ = c.nc.SetReadDeadline(at) // if it fails, so does the read
	if c.draining.Load() {
		c.drain() // it may have been undone just now
	}
}

// watchStranger gives a client that has to authenticate the request timeout to do so, once.
func (c *conn) watchStranger() {
	known := c.known()
	c.hurry(func(p *patience) {
		switch {
		case known:
			p.until = time.Time{}
		case p.until.IsZero():
			p.until = time.Now().Add(c.srv.opts.RequestTimeout)
		}
	})
}

// overdue reports whether the client should have authenticated by now.
func (c *conn) overdue() bool {
	c.patience.mu.Lock()
	defer c.patience.mu.Unlock()
	return !c.patience.until.IsZero() && !time.Now().Before(c.patience.until)
}

// cut ends the connection and cancels its requests. It does not wait until TLS has said goodbye.
func (c *conn) cut() {
	c.cancel()
	_ = raw(c.nc).Close()
}

// raw is the connection under TLS. To close that is the way that never blocks.
func raw(nc net.Conn) net.Conn {
	if encrypted, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return encrypted.NetConn()
	}
	return nc
}

// about is what other connections may see of this one.
type about struct {
	mu      sync.Mutex
	name    string
	user    string
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
