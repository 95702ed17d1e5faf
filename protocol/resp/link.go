package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/stated/stated/protocol"
)

// link is one place of a client for a connection. A goroutine takes requests from the queue and writes them, as
// many at once as there are; while it is connected, another one reads the replies.
type link struct {
	addr   string
	opts   ClientOptions
	closed <-chan struct{}
	queue  chan *protocol.Request
	// senders is held for reading while a request is being queued, so that the last ones are found at the end.
	senders sync.RWMutex
	running sync.WaitGroup

	pause time.Duration // after the last failed attempt to connect
	retry time.Time     // no attempt before it
	err   error         // of the last attempt
}

func newLink(addr string, o ClientOptions, closed <-chan struct{}) *link {
	return &link{addr: addr, opts: o, closed: closed, queue: make(chan *protocol.Request, o.InFlight)}
}

func (l *link) start(first *session) { l.running.Go(func() { l.run(first) }) }

func (l *link) wait() { l.running.Wait() }

// run serves requests until the client is closed, over one session after another.
func (l *link) run(s *session) {
	defer l.rejectQueued()
	var next *protocol.Request
	for {
		if s != nil {
			next = s.serve(l, next)
		}
		if next == nil {
			select {
			case <-l.closed:
				return
			case next = <-l.queue:
			}
		}
		select {
		case <-l.closed:
			refuse(next, protocol.ClientClosed())
			return
		default:
		}
		if s = l.reconnect(); s == nil {
			refuse(next, l.err)
			next = nil
		}
	}
}

// refuse answers a request that was not sent.
func refuse(r *protocol.Request, err error) {
	if r.Take() { // else nobody waits for it
		r.Answer(protocol.Reply{Err: err})
	}
}

// rejectQueued answers what is left when the client was closed.
func (l *link) rejectQueued() {
	l.senders.Lock() // from here on, Start sees that the client is closed
	defer l.senders.Unlock()
	for {
		select {
		case r := <-l.queue:
			refuse(r, protocol.ClientClosed())
		default:
			return
		}
	}
}

// reconnect gives a new session, or nil and sets err. It does not try while it is backing off.
func (l *link) reconnect() *session {
	if time.Now().Before(l.retry) {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-l.closed:
			cancel()
		case <-stop:
		}
	})
	s, err := l.connect(ctx)
	close(stop)
	watcher.Wait()
	if err != nil {
		l.pause = nextPause(l.pause, l.opts.MaxBackoff)
		l.retry, l.err = time.Now().Add(l.pause), err
		return nil
	}
	l.pause, l.retry, l.err = 0, time.Time{}, nil
	return s
}

// connect dials and greets the server.
func (l *link) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.DialTimeout)
	defer cancel()
	network, address := splitAddress(l.addr)
	nc, err := l.opts.Dialer(ctx, network, address)
	if err != nil {
		return nil, unreachable(ctx, l.addr, err)
	}
	// To close the connection is the only way to end a read for a context.
	plain := nc
	stop := context.AfterFunc(ctx, func() { _ = plain.Close() })
	if l.opts.TLS != nil {
		nc = tls.Client(plain, serverName(l.opts.TLS, network, address))
	}
	s := newSession(nc, l.opts.InFlight)
	err = s.greet(l.opts.Name, l.opts.Token)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = plain.Close()
		return nil, unreachable(ctx, l.addr, err)
	}
	return s, nil
}

// serverName gives the settings with the name that the server's certificate has to have.
func serverName(settings *tls.Config, network, address string) *tls.Config {
	host, _, err := net.SplitHostPort(address)
	if settings.ServerName != "" || network == "unix" || err != nil {
		return settings
	}
	settings = settings.Clone()
	settings.ServerName = host
	return settings
}

func unreachable(ctx context.Context, addr string, cause error) error {
	var refused *protocol.Error
	switch {
	case errors.As(cause, &refused):
		return refused // in the server's own words
	case ctx.Err() != nil:
		cause = protocol.WhyEnded(ctx) // what the connection says of it is a consequence
	}
	return protocol.Errorf(protocol.CodeUnavailable, "cannot reach %s: %w", addr, cause)
}
