package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stated/stated/protocol"
)

// address is where a server is.
type address struct {
	url     url.URL // scheme and host alone
	network string
	dial    string
	text    string
}

// String gives the address as the caller wrote it.
func (a address) String() string { return a.text }

func parseAddress(base string) (address, error) {
	if path, ok := strings.CutPrefix(base, "unix:"); ok {
		if path == "" {
			return address{}, protocol.Errorf(protocol.CodeInvalid, "the address unix: has no path")
		}
		return address{url: url.URL{Scheme: "http", Host: "localhost"}, network: "unix", dial: path, text: base}, nil
	}
	u, err := url.Parse(base)
	if err != nil || u.User != nil { // the text may hold a secret
		return address{}, protocol.Errorf(protocol.CodeInvalid, "the address is no URL without user and password: want http://host:port")
	}
	bare := url.URL{Scheme: u.Scheme, Host: u.Host}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || bare.String() != strings.TrimSuffix(base, "/") {
		return address{}, protocol.Errorf(protocol.CodeInvalid,
			"%q is not the address of a server: want http://host:port, https://host:port or unix:/path", base)
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return address{url: bare, network: "tcp", dial: net.JoinHostPort(u.Hostname(), port), text: bare.String()}, nil
}

// conns makes the connections of a client and knows those that are open, so that they can be closed: the transport
// itself closes only idle ones.
type conns struct {
	addr    address
	tls     *tls.Config
	timeout time.Duration

	mu      sync.Mutex
	open    map[*countedConn]struct{}
	dials   map[*context.CancelFunc]struct{}
	closed  bool
	dialing sync.WaitGroup
}

func newConns(addr address, o ClientOptions) *conns {
	p := &conns{
		addr: addr, timeout: o.DialTimeout,
		open: map[*countedConn]struct{}{}, dials: map[*context.CancelFunc]struct{}{},
	}
	if addr.url.Scheme == "https" {
		p.tls = &tls.Config{}
		if o.TLS != nil {
			p.tls = o.TLS.Clone()
		}
		p.tls.NextProtos = []string{"http/1.1"}
	}
	return p
}

// transport gives the rules of net/http. It obeys no proxy of the environment: the token is for the server alone.
func (p *conns) transport(o ClientOptions) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }
	t := &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		DisableCompression:     true,
		MaxConnsPerHost:        o.Connections,
		MaxIdleConnsPerHost:    o.Connections,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

var errDialTimeout = errors.New("no connection in time")

// dial makes one connection, ready to be written to. The transport calls it on a goroutine of its own, which may
// outlive the request that needed the connection.
func (p *conns) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("%w: %v", errDialTimeout, p.timeout))
	defer cancel()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, net.ErrClosed
	}
	p.dials[&cancel] = struct{}{}
	p.dialing.Add(1)
	p.mu.Unlock()
	defer p.dialing.Done()

	nc, err := p.connect(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errDialTimeout) {
		err = context.Cause(ctx) // net's own error would look like the end of the caller's context
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.dials, &cancel)
	if err == nil && p.closed {
		err = errors.Join(net.ErrClosed, nc.Close())
	}
	if err != nil {
		return nil, err
	}
	c := &countedConn{Conn: nc, of: p}
	p.open[c] = struct{}{}
	return c, nil
}

func (p *conns) connect(ctx context.Context) (net.Conn, error) {
	if p.tls == nil {
		return new(net.Dialer).DialContext(ctx, p.addr.network, p.addr.dial)
	}
	return (&tls.Dialer{Config: p.tls}).DialContext(ctx, p.addr.network, p.addr.dial)
}

// close ends every connection and every attempt to make one. It blocks until the attempts have ended.
func (p *conns) close() {
	p.mu.Lock()
	p.closed = true
	for cancel := range p.dials {
		(*cancel)()
	}
	open := make([]*countedConn, 0, len(p.open))
	for c := range p.open {
		open = append(open, c)
	}
	p.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	p.dialing.Wait()
}

func (p *conns) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// countedConn counts what was written, which tells whether the server can have seen anything of a request. Of TLS it
// counts what is inside.
type countedConn struct {
	net.Conn
	of      *conns
	written atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

func (c *countedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
