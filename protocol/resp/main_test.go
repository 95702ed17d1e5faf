package resp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guard is how long a test waits for what must happen. Nothing is expected to take nearly as long.
const guard = 30 * time.Second

// serve starts a server on a free port and stops it at the end of the test.
func serve(tb testing.TB, h protocol.Handler, o resp.Options) (*resp.Server, string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, l, h, o), l.Addr().String()
}

func serveOn(tb testing.TB, l net.Listener, h protocol.Handler, o resp.Options) *resp.Server {
	tb.Helper()
	s := resp.New(h, o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		defer cancel()
		_ = s.Shutdown(ctx) // tests that care call it themselves
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			tb.Errorf("Serve: %v", err)
		}
	})
	return s
}

func unixListener(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("unix", filepath.Join(tb.TempDir(), "s"))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// peer is a client that sees bytes.
type peer struct {
	tb testing.TB
	net.Conn
	r *bufio.Reader
}

func connect(tb testing.TB, addr string) *peer {
	tb.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return newPeer(tb, nc)
}

func newPeer(tb testing.TB, nc net.Conn) *peer {
	tb.Helper()
	tb.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(guard)); err != nil {
		tb.Fatal(err)
	}
	return &peer{tb: tb, Conn: nc, r: bufio.NewReader(nc)}
}

func (p *peer) send(text string) {
	p.tb.Helper()
	if _, err := p.Write([]byte(text)); err != nil {
		p.tb.Fatalf("sending %.60q: %v", text, err)
	}
}

// until reads up to and including the text.
func (p *peer) until(text string) string {
	p.tb.Helper()
	var got bytes.Buffer
	for !bytes.HasSuffix(got.Bytes(), []byte(text)) {
		c, err := p.r.ReadByte()
		if err != nil {
			p.tb.Fatalf("waiting for %q: %v after %.300q", text, err, got.String())
		}
		got.WriteByte(c)
	}
	return got.String()
}

// ask sends commands and gives the replies as they come over the wire.
func (p *peer) ask(commands string) string {
	p.tb.Helper()
	p.send(commands + "\r\nECHO the-end\r\n")
	return strings.TrimSuffix(p.until("$7\r\nthe-end\r\n"), "$7\r\nthe-end\r\n")
}

// rest reads until the server closes the connection. A reset counts as the end too.
func (p *peer) rest() string {
	p.tb.Helper()
	var got bytes.Buffer
	_, err := got.ReadFrom(p.r)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		p.tb.Fatalf("the connection is still open after %.300q", got.String())
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		p.tb.Fatalf("the connection is still open after %.300q", got.String())
	}
	return got.String()
}

// bulks writes a command as an array of bulk strings.
func bulks(words ...string) string { return string(resp.AppendCommand(nil, words...)) }

// receive waits for a channel, but not for ever.
func receive[T any](tb testing.TB, ch <-chan T) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(guard):
		tb.Fatal("it never happened")
		panic("unreachable")
	}
}

// eventually waits for a condition that nothing announces.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(guard)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("never: %s", what)
		}
	}
}
