package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guard is how long a test waits for what must happen. Nothing is expected to take nearly as long.
const guard = 30 * time.Second

// tester is a server and a client of it.
type tester struct {
	testing.TB
	*httpapi.Server
	addr   string
	client *http.Client
}

// serve starts a server on a free port and stops it at the end of the test.
func serve(tb testing.TB, h protocol.Handler, o httpapi.Options) *tester {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, l, h, o)
}

func serveOn(tb testing.TB, l net.Listener, h protocol.Handler, o httpapi.Options) *tester {
	tb.Helper()
	s := httpapi.New(h, o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, l.Addr().Network(), l.Addr().String())
		},
	}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return &tester{tb, s, l.Addr().String(), &http.Client{Transport: transport, Timeout: guard}}
}

// answer is a reply that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// json gives the body's members.
func (a answer) json(tb testing.TB) map[string]any {
	tb.Helper()
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%v in %q", err, a.body)
	}
	return v
}

// ask sends a request; headers are pairs of name and value.
func (t *tester) ask(method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+t.hostName()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	return t.do(r)
}

// hostName is what a request is for: the address, or a name in place of a unix socket.
func (t *tester) hostName() string {
	if strings.HasPrefix(t.addr, "/") {
		return "stated"
	}
	return t.addr
}

func (t *tester) do(r *http.Request) answer {
	t.Helper()
	reply, err := t.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{reply.StatusCode, reply.Header, string(body)}
}

// want checks the status and that the body contains a text.
func (t *tester) want(a answer, status int, contains string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, contains) {
		t.Errorf("%d %s; want %d and %q", a.status, a.body, status, contains)
	}
}

// wire is a client that sees bytes.
type wire struct {
	testing.TB
	net.Conn
	r *bufio.Reader
}

func (t *tester) connect() *wire {
	t.Helper()
	nc, err := net.Dial("tcp", t.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(guard)); err != nil {
		t.Fatal(err)
	}
	return &wire{t.TB, nc, bufio.NewReader(nc)}
}

func (w *wire) send(text string) {
	w.Helper()
	if _, err := io.WriteString(w.Conn, text); err != nil {
		w.Fatal(err)
	}
}

// reply reads one reply to a request of this method.
func (w *wire) reply(method string) answer {
	w.Helper()
	reply, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		w.Fatal(err)
	}
	defer reply.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		w.Fatal(err)
	}
	return answer{reply.StatusCode, reply.Header, string(body)}
}

// ended expects the server to have closed the connection.
func (w *wire) ended() {
	w.Helper()
	if rest, err := io.ReadAll(w.r); len(rest) > 0 || isTimeout(err) {
		w.Errorf("the connection goes on: %q, %v", rest, err)
	}
}

func isTimeout(err error) bool {
	nerr, ok := err.(net.Error) //nolint:errorlint // as net gives it
	return ok && nerr.Timeout()
}

const (
	readerSecret = "reader-0123456789abcdef"
	writerSecret = "writer-0123456789abcdef"
	adminSecret  = "admin--0123456789abcdef"
)

var secrets = map[auth.Role]string{auth.RoleRead: readerSecret, auth.RoleWrite: writerSecret, auth.RoleAdmin: adminSecret}

func tokens(tb testing.TB) *auth.Keyring {
	tb.Helper()
	k, err := auth.New(auth.Token{Name: "reader", Secret: readerSecret, Role: auth.RoleRead},
		auth.Token{Name: "writer", Secret: writerSecret, Role: auth.RoleWrite},
		auth.Token{Name: "admin", Secret: adminSecret, Role: auth.RoleAdmin})
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// failing answers every request with an error.
func failing(err error) *protocoltest.Memory {
	m := protocoltest.New()
	m.Before = func(context.Context, *protocol.Request) *protocol.Reply { return &protocol.Reply{Err: err} }
	return m
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logged gives a logger and what it has written.
func logged() (zerolog.Logger, *lines) {
	l := &lines{}
	return zerolog.New(l), l
}
