package resp

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stated/stated/protocol"
)

// ClientOptions say how a [Client] connects. The zero value of each field means its default.
type ClientOptions struct {
	// Name is shown by CLIENT LIST; it has no blanks. Default none.
	Name string
	// Token authenticates the client. Default none.
	Token string
	// TLS encrypts the connections; the name of the server is that of the address, unless it is set. Default none.
	TLS *tls.Config
	// Connections is how many connections share the requests. Requests that were started and not yet answered
	// keep their order on one connection only. Default 1.
	Connections int
	// InFlight is how many requests of one connection may wait for their replies. Default 1,024.
	InFlight int
	// DialTimeout is how long connecting may take, greeting included. Default 5 s.
	DialTimeout time.Duration
	// MaxBackoff is the longest pause after a failed attempt to connect again; the first is 50 ms and each is
	// twice as long as the one before. During a pause requests fail at once. Default 2 s.
	MaxBackoff time.Duration
	// Dialer makes a connection; it must obey its context. Default [net.Dialer.DialContext].
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o ClientOptions) withDefaults() ClientOptions {
	setDefault(&o.Connections, 1)
	setDefault(&o.InFlight, 1_024)
	setDefault(&o.DialTimeout, 5*time.Second)
	setDefault(&o.MaxBackoff, 2*time.Second)
	if o.Dialer == nil {
		o.Dialer = (&net.Dialer{}).DialContext
	}
	return o
}

// Client is a [protocol.Handler] that a server at the other end of a connection performs. Any number of
// goroutines may use it; their requests share a few connections. It connects again, for the next request, when a
// connection is lost, and never sends a request twice.
type Client struct {
	protocol.Methods

	links  []*link
	turn   atomic.Uint64
	closed chan struct{}
	close  sync.Once
}

var _ protocol.Handler = (*Client)(nil)

// Dial connects to a server at host:port or unix:/path. It blocks until the server has answered a first time,
// ctx ends or the dial timeout is over, and returns UNAVAILABLE if it cannot be reached, UNAUTHENTICATED if it does
// not take the token. ctx is not used later.
func Dial(ctx context.Context, addr string, o ClientOptions) (*Client, error) {
	o = o.withDefaults()
	if !printable(o.Name) {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the client name %q has blanks or special characters", o.Name)
	}
	if o.Connections < 1 || o.InFlight < 1 {
		return nil, protocol.Errorf(protocol.CodeInvalid, "a client needs at least 1 connection and 1 request in flight")
	}
	c := &Client{closed: make(chan struct{})}
	c.Methods = protocol.Methods{Handler: c}
	for range o.Connections {
		c.links = append(c.links, newLink(addr, o, c.closed))
	}
	first, err := c.links[0].connect(ctx)
	if err != nil {
		return nil, err
	}
	for i, l := range c.links {
		if i > 0 {
			first = nil // the others connect when they are needed
		}
		l.start(first)
	}
	return c, nil
}

// Close ends the connections. Requests under way fail, as by a lost connection. It blocks until no goroutine of
// the client is left, and always returns nil.
func (c *Client) Close() error {
	c.close.Do(func() { close(c.closed) })
	for _, l := range c.links {
		l.wait()
	}
	return nil
}

// Start implements [protocol.Handler]. It blocks while the connection has no room for another request.
func (c *Client) Start(ctx context.Context, r *protocol.Request) {
	if err := sendable(r.Op()); err != nil {
		r.Answer(protocol.Reply{Err: err})
		return
	}
	l := c.links[c.turn.Add(1)%uint64(len(c.links))]
	l.senders.RLock()
	defer l.senders.RUnlock()
	select {
	case <-c.closed: // nobody looks into the queue any more
		r.Answer(protocol.Reply{Err: protocol.ClientClosed()})
		return
	default:
	}
	if ctx.Err() != nil { // the queue has room most of the time
		r.Answer(protocol.Reply{Err: protocol.NotSent(ctx)})
		return
	}
	select {
	case l.queue <- r:
	case <-ctx.Done():
		r.Answer(protocol.Reply{Err: protocol.NotSent(ctx)})
	case <-c.closed:
		r.Answer(protocol.Reply{Err: protocol.ClientClosed()})
	}
}

// Wait implements [protocol.Handler].
func (c *Client) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	return protocol.Await(ctx, r)
}

// splitAddress tells the network of an address.
func splitAddress(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}

// nextPause is how long to wait after one more failed attempt.
func nextPause(pause, most time.Duration) time.Duration {
	return min(2*cmp.Or(pause, 25*time.Millisecond), most)
}
