package httpapi_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// benchState is what is saved and loaded, 1 KiB.
var benchState = `{"pad":"` + strings.Repeat("x", 1014) + `"}`

// BenchmarkServer is what the server, net/http included, costs a request over loopback with keep-alive. The clients do no
// more than they must: that of net/http would cost more than the server.
func BenchmarkServer(b *testing.B) {
	get := "GET /v1/agents/alice HTTP/1.1\r\nHost: 127.0.0.1:7829\r\n\r\n"
	put := fmt.Sprintf("PUT /v1/agents/alice HTTP/1.1\r\nHost: 127.0.0.1:7829\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(benchState), benchState)
	for _, c := range []struct{ name, request string }{{"GET", get}, {"PUT", put}} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", c.name, clients), func(b *testing.B) { benchServer(b, c.request, clients) })
		}
	}
}

func benchServer(b *testing.B, request string, clients int) {
	h := protocoltest.New()
	h.Put("alice", benchState)
	s := serve(b, h, httpapi.Options{})
	conns := make(chan *lean, clients)
	for range clients {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = nc.Close() })
		conns <- &lean{Conn: nc, request: []byte(request), in: make([]byte, 4096)}
	}
	b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	if clients == 1 {
		for c := <-conns; b.Loop(); {
			if err := c.ask(); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		for c := <-conns; pb.Next(); {
			if err := c.ask(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// lean is a client that asks the same again and again, and looks at no more of a reply than where it ends.
type lean struct {
	net.Conn
	request, in []byte
}

var (
	headEnd    = []byte("\r\n\r\n")
	lengthName = []byte("\r\nContent-Length: ")
	ok         = []byte("HTTP/1.1 200 OK\r\n")
)

// ask sends the request and takes the reply. It makes no garbage, which would count as the server's.
func (c *lean) ask() error {
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	for n, end := 0, -1; n != end; {
		more, err := c.Read(c.in[n:])
		if err != nil {
			return fmt.Errorf("%w after %q", err, c.in[:n])
		}
		n += more
		head, _, whole := bytes.Cut(c.in[:n], headEnd)
		if end >= 0 || !whole {
			continue
		}
		_, value, _ := bytes.Cut(head, lengthName)
		value, _, _ = bytes.Cut(value, headEnd[:2])
		length, err := strconv.Atoi(string(value))
		if err != nil || !bytes.HasPrefix(head, ok) {
			return fmt.Errorf("got %q", c.in[:n])
		}
		end = len(head) + len(headEnd) + length
	}
	return nil
}

// BenchmarkHandler is the same without net/http: what of the cost is this package's own.
func BenchmarkHandler(b *testing.B) {
	b.Run("GET", func(b *testing.B) { benchHandler(b, http.MethodGet, "") })
	b.Run("PUT", func(b *testing.B) { benchHandler(b, http.MethodPut, benchState) })
}

func benchHandler(b *testing.B, method, body string) {
	h := protocoltest.New()
	h.Put("alice", benchState)
	s := httpapi.New(h, httpapi.Options{})
	in := strings.NewReader(body)
	w := &nowhere{header: http.Header{}}
	r := &http.Request{
		Method: method, URL: &url.URL{Path: "/v1/agents/alice"}, Host: "127.0.0.1:7829",
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(in), ContentLength: int64(len(body)),
	}
	r = r.WithContext(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(body)
		clear(w.header)
		if s.ServeHTTP(w, r); w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
}

// nowhere is a reply that is not sent.
type nowhere struct {
	header http.Header
	status int
}

func (w *nowhere) Header() http.Header              { return w.header }
func (w *nowhere) WriteHeader(status int)           { w.status = status }
func (w *nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (w *nowhere) SetReadDeadline(time.Time) error  { return nil }
func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }
