package httpapi_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
)

// A reply takes no more memory than allowed, whether its size was announced or not.
func TestClient_replyTooLarge(t *testing.T) {
	for name, announced := range map[string]bool{"announced": true, "endless": false} {
		s := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if announced {
				w.Header().Set("Content-Length", "10000000000")
			}
			for {
				if _, err := w.Write(make([]byte, 1_000)); err != nil {
					return
				}
			}
		})
		c := dialClient(t, s.URL, httpapi.ClientOptions{ReplyBytes: 10_000})
		_, err := c.Load(t.Context(), "a")
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != protocol.CodeInvalid || len(e.Facts) != 1 || e.Facts[0].Key != protocol.FactTooLarge {
			t.Errorf("%s: a read: %v", name, err)
		}
		if _, err := c.Save(t.Context(), "a", []byte("1")); !errors.Is(err, protocol.CodeUnknown) {
			t.Errorf("%s: a change: %v", name, err)
		}
	}
	large := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		answerOf{200, recordHeader + "\nContent-Length: 10000000000", ""}.write(w)
	})
	c := dialClient(t, large.URL, httpapi.ClientOptions{ReplyBytes: 10_000})
	if reply, err := protocol.Do(t.Context(), c, mustOp(protocol.Stat("a"))); reply.Bytes != 10_000_000_000 || err != nil {
		t.Errorf("stat of what is larger: %+v, %v", reply, err)
	}
	exact := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		answerOf{200, recordHeader, strings.Repeat("1", 10_000)}.write(w)
	})
	if _, err := dialClient(t, exact.URL, httpapi.ClientOptions{ReplyBytes: 10_000}).Load(t.Context(), "a"); err != nil {
		t.Errorf("a reply of the largest size: %v", err)
	}
}

// A large state waits for the server to ask for it, so that a refusal costs little and is not lost with the connection.
func TestClient_largeStateRefused(t *testing.T) {
	s := newRawServer(t, func(nc *net.TCPConn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		const problem = `{"code":"INVALID","detail":"too large","too_large":1}`
		_, _ = fmt.Fprintf(nc, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s",
			len(problem), problem)
		_, _ = io.Copy(io.Discard, r)
	})
	c := dialClient(t, s.base, httpapi.ClientOptions{})
	_, err := c.Save(t.Context(), "a", []byte(`"`+strings.Repeat("x", 8<<20)+`"`))
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.CodeInvalid || len(e.Facts) != 1 || e.Facts[0].Key != protocol.FactTooLarge {
		t.Errorf("got %v", err)
	}
	if seen := <-s.seen; len(seen) > 10_000 {
		t.Errorf("the server was sent %d bytes", len(seen))
	}
}

func TestClient_TLS(t *testing.T) {
	s := httptest.NewUnstartedServer(greeting(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.ProtoMajor != 1 {
			t.Errorf("not HTTP/1.1 over TLS: %+v", r)
		}
		answerOf{200, recordHeader, "1"}.write(w)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	trusted := s.Client().Transport.(*http.Transport).TLSClientConfig
	trusted.NextProtos = []string{"h2"}
	c := dialClient(t, s.URL, httpapi.ClientOptions{TLS: trusted})
	if _, err := c.Load(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	s.CloseClientConnections()
	eventuallyClient(t, "it is back", func() bool {
		_, err := c.Load(t.Context(), "a")
		return err == nil
	})
	if _, err := httpapi.Dial(t.Context(), s.URL, httpapi.ClientOptions{}); !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("a server that nobody trusts: %v", err)
	}
	if _, err := httpapi.Dial(t.Context(), strings.Replace(s.URL, "https", "http", 1), httpapi.ClientOptions{}); !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("http to https: %v", err)
	}
	if _, err := httpapi.Dial(t.Context(), "http://localhost", httpapi.ClientOptions{TLS: &tls.Config{}}); !errors.Is(err, protocol.CodeInvalid) {
		t.Errorf("TLS without https: %v", err)
	}
}

func TestClient_unixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(greeting(func(w http.ResponseWriter, _ *http.Request) { answerOf{200, recordHeader, "1"}.write(w) }))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	if _, err := dialClient(t, "unix:"+path, httpapi.ClientOptions{}).Load(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}
