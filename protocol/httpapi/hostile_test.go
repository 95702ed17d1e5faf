package httpapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/limit"
	"github.com/stated/stated/protocol/protocoltest"
)

func TestHostile_ByteAtATime(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	w := s.connect()
	for _, c := range "PUT /v1/agents/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\":1}" {
		w.send(string(c))
		if c == 'o' { // others do not wait
			s.want(s.ask("GET", "/livez", ""), 200, "ok")
		}
	}
	if a := w.reply("PUT"); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestHostile_Announces: what is announced and does not come costs nothing: all of it together is far more than the
// limits allow, and nobody is refused.
func TestHostile_Announces(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{Inflight: limit.NewBytes(1<<20, guard)})
	w := s.connect()
	w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n")
	s.want(w.reply("PUT"), 413, `"too_large":1`)
	w.ended()
	for range 50 {
		s.connect().send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n[1")
	}
	s.want(s.ask("PUT", "/v1/agents/b", `"`+strings.Repeat("x", 400_000)+`"`), 201, "")
}

// TestHostile_Unread: the answer to a body that is not wanted arrives, although the client is still sending.
func TestHostile_Unread(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{StateBytes: 10})
	w := s.connect()
	w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("1", 100_000))
	s.want(w.reply("PUT"), 413, "limits.state_bytes")
	if n, err := w.r.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // as net gives it
		t.Errorf("behind the reply: %d bytes, %v", n, err)
	}
}

// TestHostile_SendsFirst: a client that sends all of its body before it reads, as many do, gets the reply all the same.
func TestHostile_SendsFirst(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{StateBytes: 1 << 20, Tokens: tokens(t)})
	const size = 32 << 20 // more than the system keeps for a server that does not read
	body := strings.Repeat(" ", size)
	for name, tc := range map[string]struct {
		headers, body string
		status        int
	}{
		"too large":          {fmt.Sprintf("Content-Length: %d\r\nAuthorization: Bearer %s", size, writerSecret), body, 413},
		"too large in parts": {"Transfer-Encoding: chunked\r\nAuthorization: Bearer " + writerSecret, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body), 413},
		"without a token":    {fmt.Sprintf("Content-Length: %d", size), body, 401},
	} {
		w := s.connect()
		w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\n" + tc.headers + "\r\n\r\n" + tc.body)
		if a := w.reply("PUT"); a.status != tc.status {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, tc.status)
		}
		w.ended()
	}
}

func TestHostile_EndlessBody(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{StateBytes: 1 << 20})
	w := s.connect()
	w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
	for err := error(nil); err == nil; {
		_, err = io.WriteString(w.Conn, chunk) // until the server closes
	}
	s.want(s.ask("PUT", "/v1/agents/a", "1"), 201, "")
}

// TestHostile_SlowBody: a body that does not come is not waited for.
func TestHostile_SlowBody(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{RequestTimeout: 200 * time.Millisecond})
	w := s.connect()
	w.send("PUT /v1/agents/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\"")
	s.want(w.reply("PUT"), 408, `"code":"CANCELED"`)
	w.ended()
}

// TestHostile_NeverReads: a client that does not take its reply is cut off.
func TestHostile_NeverReads(t *testing.T) {
	m := protocoltest.New()
	m.Put("large", `"`+strings.Repeat("x", 8<<20)+`"`)
	s := serve(t, m, httpapi.Options{RequestTimeout: 200 * time.Millisecond})
	w := s.connect()
	w.send(strings.Repeat("GET /v1/agents/large HTTP/1.1\r\nHost: localhost\r\n\r\n", 100))
	for s.Connections() > 0 { // guarded by the time that the whole test may take
		time.Sleep(time.Millisecond)
	}
	s.want(s.ask("GET", "/v1/count", ""), 200, "")
}

func TestHostile_Disconnects(t *testing.T) {
	m := protocoltest.New()
	left := make(chan struct{})
	m.Before = func(ctx context.Context, r *protocol.Request) *protocol.Reply {
		if r.Op().ID() != "gone" {
			return nil
		}
		<-ctx.Done()
		close(left)
		return &protocol.Reply{Err: protocol.AsError(ctx.Err())}
	}
	s := serve(t, m, httpapi.Options{})
	w := s.connect()
	w.send("PUT /v1/agents/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\"")
	_ = w.Close()
	w = s.connect()
	w.send("GET /v1/agents/gone HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_ = w.Close()
	<-left // the request ends with its client
	s.want(s.ask("GET", "/v1/agents/half", ""), 404, "")
}

func TestHostile_Headers(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{})
	for name, text := range map[string]string{
		"a long line":   "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\n\r\n",
		"a long header": "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"many headers":  "GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: y\r\n", 1<<17) + "\r\n",
		"no HTTP":       "*1\r\n$4\r\nPING\r\n",
		"no host":       "GET /livez HTTP/1.1\r\n\r\n",
	} {
		w := s.connect()
		_, _ = io.WriteString(w.Conn, text) // the server may close before it has all
		reply, err := io.ReadAll(w.r)
		if line, _, _ := strings.Cut(string(reply), "\r\n"); err == nil && !strings.HasPrefix(line, "HTTP/1.1 4") {
			t.Errorf("%s: %q", name, line)
		}
	}
	s.want(s.ask("GET", "/livez", ""), 200, "ok")
}

func TestConnections(t *testing.T) {
	s := serve(t, protocoltest.New(), httpapi.Options{Connections: limit.NewConnections(2)})
	one, two := s.connect(), s.connect()
	for _, w := range []*wire{one, two} {
		w.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		s.want(w.reply("GET"), 200, "ok")
	}
	if n := s.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	three := s.connect()
	a := three.reply("GET")
	s.want(a, 503, "limits.connections")
	s.want(a, 503, `"code":"OVERLOADED"`)
	if a.header.Get("Retry-After") != "1" || a.json(t)["status"] == nil {
		t.Errorf("headers %v", a.header)
	}
	_ = three.Close()
	one.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	s.want(one.reply("GET"), 200, "ok")
	_ = two.Close()
	for s.Connections() > 1 {
		time.Sleep(time.Millisecond)
	}
	four := s.connect()
	four.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	s.want(four.reply("GET"), 200, "ok")
}

// TestConnections_TLS: one that has to shake hands first does not hold up the others, whether it does so or not.
func TestConnections_TLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}),
		protocoltest.New(), httpapi.Options{Connections: limit.NewConnections(1)})
	insecure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate was made a moment ago
	first, err := tls.Dial("tcp", l.Addr().String(), insecure)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close() //nolint:errcheck // the test is over
	for range 3 {
		if c, err := tls.Dial("tcp", l.Addr().String(), insecure); err == nil {
			_ = c.Close()
			t.Error("a second client was let in")
		}
	}
	if _, err := fmt.Fprintf(first, "GET /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 12)
	if _, err := io.ReadFull(first, buf); err != nil || string(buf) != "HTTP/1.1 200" {
		t.Errorf("%q, %v", buf, err)
	}
}

func certificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestInflight: bodies for which there is no room are refused, and what was reserved comes back.
func TestInflight(t *testing.T) {
	m := protocoltest.New()
	begun, goOn := make(chan struct{}), make(chan struct{})
	m.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		if r.Op().ID() == "holder" {
			close(begun)
			<-goOn
		}
		return nil
	}
	s := serve(t, m, httpapi.Options{Inflight: limit.NewBytes(300_000, time.Millisecond)})
	state := `"` + strings.Repeat("x", 250_000) + `"`
	done := make(chan answer)
	go func() { done <- s.ask("PUT", "/v1/agents/holder", state) }()
	<-begun
	a := s.ask("PUT", "/v1/agents/other", state)
	s.want(a, 503, "limits.inflight_bytes")
	s.want(s.ask("PUT", "/v1/agents/small", "1"), 201, "")
	close(goOn)
	s.want(<-done, 201, "")
	s.want(s.ask("PUT", "/v1/agents/other", state), 201, "")
}

func TestPanic(t *testing.T) {
	m := protocoltest.New()
	m.Before = func(context.Context, *protocol.Request) *protocol.Reply { panic("a defect with a secret") }
	log, lines := logged()
	s := serve(t, m, httpapi.Options{Logger: log})
	for _, tc := range []struct {
		method string
		code   string
	}{{"GET", "INTERNAL"}, {"PUT", "UNKNOWN"}, {"DELETE", "UNKNOWN"}} {
		a := s.ask(tc.method, "/v1/agents/a", "1")
		s.want(a, 500, `"code":"`+tc.code+`"`)
		if strings.Contains(a.body, "secret") {
			t.Errorf("the client is told %s", a.body)
		}
	}
	if text := lines.String(); strings.Count(text, "a defect with a secret") != 3 || !strings.Contains(text, "stack") {
		t.Errorf("logged: %s", text)
	}
}
