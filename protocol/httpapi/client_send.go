package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"

	"github.com/stated/stated/protocol"
)

// outgoing is one request of a client.
type outgoing struct {
	method string
	path   string // escaped
	query  string
	header http.Header // further headers; may be nil
	body   []byte      // nil for none
	writes bool        // it may change something
}

// answer is what a server replied, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// describe gives an answer that says nothing to us as people see it.
func (a *answer) describe() string {
	kind := a.header.Get("Content-Type")
	if kind == "" {
		kind = "no content type"
	}
	return fmt.Sprintf("%d %s (%.80s)", a.status, http.StatusText(a.status), kind)
}

func (a *answer) isProblem() bool {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && kind == "application/problem+json"
}

// patientBody is from how many bytes on a body waits until the server asks for it. A server that refuses such a request
// would otherwise have to read the body, or to close a connection on which its answer may be lost.
const patientBody = 1 << 20

// send performs a request. Its error says whether the server can have seen the request.
func (c *Client) send(ctx context.Context, e *outgoing) (*answer, error) {
	var sent sending
	req, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: sent.gotConn}), e)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "the request cannot be made: %v", err).Because(err)
	}
	// Without http.Client there are no redirects, which would be a second request, and no cookies.
	res, err := c.rt.RoundTrip(req)
	if err != nil {
		return nil, c.failed(ctx, e, sent.begun(), err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := readReply(res, c.opts.ReplyBytes)
	switch {
	case errors.Is(err, errReplyTooLarge) && e.writes:
		return nil, protocol.Errorf(protocol.CodeUnknown,
			"the reply has more than %d bytes: the change was probably applied", c.opts.ReplyBytes)
	case errors.Is(err, errReplyTooLarge):
		return nil, protocol.Errorf(protocol.CodeInvalid,
			"the reply has more than %d bytes: ask for fewer agents at a time", c.opts.ReplyBytes).With(protocol.FactTooLarge, "1")
	case err != nil:
		return nil, c.failed(ctx, e, true, err)
	}
	return &answer{status: res.StatusCode, header: res.Header, body: body}, nil
}

func (c *Client) request(ctx context.Context, e *outgoing) (*http.Request, error) {
	u := c.base.url
	var err error
	if u.Path, err = url.PathUnescape(e.path); err != nil {
		return nil, err
	}
	u.RawPath, u.RawQuery = e.path, e.query
	var body io.Reader // not a nil *bytes.Reader
	if e.body != nil {
		body = bytes.NewReader(e.body)
	}
	req, err := http.NewRequestWithContext(ctx, e.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	for key, values := range e.header {
		req.Header[key] = values
	}
	if c.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	if len(e.body) >= patientBody {
		req.Header.Set("Expect", "100-continue")
	}
	return req, nil
}

// sending watches whether anything of a request was written. The transport sends a request again, on another
// connection, if nothing was; reads also if something was.
type sending struct {
	conn    *countedConn
	before  int64 // what was written to conn before the request
	earlier bool  // something was written to a connection before this one
}

func (s *sending) gotConn(info httptrace.GotConnInfo) {
	s.earlier = s.begun()
	s.conn, _ = info.Conn.(*countedConn)
	if s.conn == nil {
		s.earlier = true // nobody knows
		return
	}
	s.before = s.conn.written.Load()
}

// begun must not be called before the transport has given up: until then it may go on writing.
func (s *sending) begun() bool {
	return s.earlier || s.conn != nil && s.conn.written.Load() > s.before
}

// failed is the error of a request without an answer.
func (c *Client) failed(ctx context.Context, e *outgoing, begun bool, cause error) error {
	switch {
	case begun && ctx.Err() != nil:
		return protocol.NoReply(ctx, e.writes)
	case begun && e.writes:
		return protocol.Errorf(protocol.CodeUnknown,
			"the connection was lost before the reply came: it may or may not have been applied").Because(cause)
	case begun:
		return protocol.Errorf(protocol.CodeUnavailable, "the connection was lost").Because(cause)
	case c.conns.isClosed():
		return protocol.ClientClosed()
	case ctx.Err() != nil:
		return protocol.NotSent(ctx)
	default:
		return protocol.Errorf(protocol.CodeUnavailable, "cannot reach %s: %w", c.base, cause)
	}
}

var errReplyTooLarge = errors.New("httpapi: the reply is too large")

// readReply reads a body of at most so many bytes. It takes memory as bytes come, not as they are announced.
func readReply(res *http.Response, most int) ([]byte, error) {
	if res.Request.Method == http.MethodHead {
		return nil, nil // the length is that of a body which does not come
	}
	if res.ContentLength > int64(most) {
		return nil, errReplyTooLarge
	}
	const step = 64 << 10
	var b bytes.Buffer
	if n := res.ContentLength; n > 0 {
		b.Grow(int(min(n, step)) + bytes.MinRead) // else the end of the body would make it grow once more
	}
	if _, err := b.ReadFrom(io.LimitReader(res.Body, int64(most)+1)); err != nil {
		return nil, err
	}
	if b.Len() > most {
		return nil, errReplyTooLarge
	}
	return b.Bytes(), nil
}
