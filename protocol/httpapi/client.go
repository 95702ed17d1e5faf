package httpapi

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stated/stated/protocol"
)

// ClientOptions say how a [Client] connects. The zero value of each field means its default.
type ClientOptions struct {
	// Token is sent with every request. Default none.
	Token string
	// TLS is for https alone, and is not changed. Default: the host's name and the system's authorities.
	TLS *tls.Config
	// Connections is the most connections at once. Each carries one request at a time; further requests wait for one
	// that is free. Default 32.
	Connections int
	// ReplyBytes is the most bytes of one reply. Default 64 MiB.
	ReplyBytes int
	// DialTimeout is how long connecting may take, TLS included. Default 5 s.
	DialTimeout time.Duration
}

func (o ClientOptions) withDefaults() ClientOptions {
	if o.Connections == 0 {
		o.Connections = 32
	}
	if o.ReplyBytes == 0 {
		o.ReplyBytes = 64 << 20
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	return o
}

// Client is a [protocol.Handler] that a server at the other end of HTTP performs. Any number of goroutines may use it.
// It connects again, for the next request, when a connection is lost, and never sends a change twice; a read that met
// a connection that the server had given up is sent again.
//
// A scan, an operation that may be skipped ([protocol.Op.OrSkip]) and a transaction of more than
// [protocol.MaxTxnOps] operations have no request in HTTP: they are INVALID.
type Client struct {
	protocol.Methods

	opts  ClientOptions
	base  address
	conns *conns
	rt    *http.Transport

	mu       sync.Mutex
	closed   bool
	requests sync.WaitGroup // under way; none is added once closed is set
}

var _ protocol.Handler = (*Client)(nil)

// Dial connects to a server at http://host:port, https://host:port or unix:/path. It blocks until the server has
// answered a first time, ctx ends or the dial timeout is over. It returns UNAVAILABLE if the server cannot be reached
// or is no stated, UNAUTHENTICATED if it does not know the token, and INVALID for options that make no sense. ctx is
// not used later.
func Dial(ctx context.Context, base string, o ClientOptions) (*Client, error) {
	o = o.withDefaults()
	addr, err := parseAddress(base)
	if err != nil {
		return nil, err
	}
	if err := o.check(addr); err != nil {
		return nil, err
	}
	c := &Client{opts: o, base: addr, conns: newConns(addr, o)}
	c.Methods = protocol.Methods{Handler: c}
	c.rt = c.conns.transport(o)
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	if err := c.greet(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (o ClientOptions) check(addr address) error {
	switch {
	case o.Connections < 1 || o.ReplyBytes < 1 || o.DialTimeout < 0:
		return protocol.Errorf(protocol.CodeInvalid, "a client needs at least 1 connection, 1 byte of reply and some time to connect")
	case o.TLS != nil && addr.url.Scheme != "https":
		return protocol.Errorf(protocol.CodeInvalid, "TLS needs an address that begins with https://")
	case strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return protocol.Errorf(protocol.CodeInvalid, "the token has a blank or special character: want printable ASCII")
	}
	return nil
}

// greet asks for what needs a token, and nothing of the handler.
func (c *Client) greet(ctx context.Context) error {
	got, err := c.send(ctx, &outgoing{method: http.MethodGet, path: "/readyz", query: "verbose"})
	if err != nil {
		if protocol.CodeOf(err) == protocol.CodeOverloaded || protocol.CodeOf(err) == protocol.CodeCanceled {
			return protocol.Errorf(protocol.CodeUnavailable, "cannot reach %s: %w", c.base, protocol.WhyEnded(ctx))
		}
		return err
	}
	if got.isProblem() {
		if refused, ok := parseProblem(got.body); ok {
			return refused
		}
	}
	if got.status != http.StatusOK && got.status != http.StatusServiceUnavailable { // red, but there
		return protocol.Errorf(protocol.CodeUnavailable, "%s is no stated: it answered GET /readyz with %s", c.base, got.describe())
	}
	return nil
}

// Close ends the connections. Requests under way fail, as by a lost connection. It blocks until no request and no
// connection of the client is left, and always returns nil.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.conns.close()
	c.requests.Wait()
	c.rt.CloseIdleConnections()
	return nil
}

// enter counts a request as under way, unless the client is closed.
func (c *Client) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.requests.Add(1)
	}
	return !c.closed
}

// Start implements [protocol.Handler]. It blocks until the request is answered or ctx ends; who wants several at once
// starts each on a goroutine of its own.
func (c *Client) Start(ctx context.Context, r *protocol.Request) {
	if err := expressible(r.Op()); err != nil {
		r.Answer(protocol.Reply{Err: err})
		return
	}
	if !c.enter() {
		r.Answer(protocol.Reply{Err: protocol.ClientClosed()})
		return
	}
	defer c.requests.Done()
	if ctx.Err() != nil {
		r.Answer(protocol.Reply{Err: protocol.NotSent(ctx)})
		return
	}
	if !r.Take() {
		return // its caller has left: it never happens
	}
	r.Answer(c.perform(ctx, r.Op()))
}

// Wait implements [protocol.Handler].
func (c *Client) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	return protocol.Await(ctx, r)
}
