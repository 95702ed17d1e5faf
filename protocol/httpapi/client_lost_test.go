package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
)

// rawServer hands each connection, once it was greeted, to behave, and counts those on which something came after that.
type rawServer struct {
	base string
	seen chan string // what came on a connection, one for each on which something came
	stop func()      // blocks until every connection has ended
}

func newRawServer(tb testing.TB, behave func(nc *net.TCPConn, r *bufio.Reader)) *rawServer {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &rawServer{base: "http://" + l.Addr().String(), seen: make(chan string, 1_000)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(guard))
				s.serve(nc.(*net.TCPConn), behave)
			})
		}
	})
	s.stop = func() { l.Close(); running.Wait() }
	tb.Cleanup(s.stop)
	return s
}

func (s *rawServer) serve(nc *net.TCPConn, behave func(*net.TCPConn, *bufio.Reader)) {
	var came bytes.Buffer
	r := bufio.NewReader(nc)
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		if head, _ := r.Peek(len("GET /readyz")); string(head) != "GET /readyz" {
			break
		}
		if req, err := http.ReadRequest(r); err != nil || req.Body.Close() != nil {
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	behave(nc, bufio.NewReader(io.TeeReader(r, &came)))
	s.seen <- came.String()
}

// abort closes a connection with a reset in place of an orderly end.
func abort(nc *net.TCPConn) { _ = nc.SetLinger(0) }

const (
	savedReply = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 51\r\n\r\n" +
		`{"agent_id":"a","revision":7,"updated_at":null    }`
	loadedReply = "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1, \r\n2\r\n2]\r\n0\r\n\r\n"
)

// A connection is cut after each byte of the request, and after each byte of the reply; orderly and by a reset; a new
// connection and one that was used before. Whatever happens, a change is sent once, and an error says that it may have
// been applied.
func TestClient_cutEverywhere(t *testing.T) {
	for _, op := range []protocol.Op{saveOp("a", `"some state"`), loadOp("a")} {
		reply := savedReply
		if !op.Writes() {
			reply = loadedReply
		}
		size := requestSize(t, op)
		for _, reset := range []bool{false, true} {
			for cut := 1; cut <= size; cut += 1 + size/60 {
				s := newRawServer(t, func(nc *net.TCPConn, r *bufio.Reader) {
					_, _ = io.CopyN(io.Discard, r, int64(cut))
					if reset {
						abort(nc)
					}
				})
				wantLost(t, s, op, fmt.Sprintf("cut after %d bytes of the request", cut))
			}
			for cut := 0; cut < len(reply); cut += 1 + len(reply)/60 {
				s := newRawServer(t, func(nc *net.TCPConn, r *bufio.Reader) {
					if readRequest(r) {
						_, _ = io.WriteString(nc, reply[:cut])
					}
					if reset {
						abort(nc)
					}
				})
				wantLost(t, s, op, fmt.Sprintf("cut after %d bytes of the reply", cut))
			}
		}
	}
}

// requestSize is how many bytes a request has on the wire.
func requestSize(t *testing.T, op protocol.Op) int {
	s := newRawServer(t, func(nc *net.TCPConn, r *bufio.Reader) {
		readRequest(r)
		_, _ = io.WriteString(nc, savedReply)
	})
	c := dialClient(t, s.base, httpapi.ClientOptions{})
	_, _ = protocol.Do(t.Context(), c, op)
	_ = c.Close()
	return len(<-s.seen)
}

func readRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// wantLost performs an operation twice: on a connection that was used before, and on a new one.
func wantLost(t *testing.T, s *rawServer, op protocol.Op, when string) {
	t.Helper()
	want := protocol.CodeUnavailable
	if op.Writes() {
		want = protocol.CodeUnknown
	}
	c := dialClient(t, s.base, httpapi.ClientOptions{})
	for range 2 {
		if _, err := protocol.Do(t.Context(), c, op); !errors.Is(err, want) {
			t.Errorf("%s, %s: got %v, want %s", op.Kind(), when, err, want)
		}
	}
	_ = c.Close()
	if n := len(s.seen); op.Writes() && n > 2 {
		t.Errorf("%s, %s: two requests were sent as %d", op.Kind(), when, n)
	}
}

// A change that meets a connection which the server has closed meanwhile is sent at most once, and is applied, unknown
// or certainly not sent.
func TestClient_keptConnectionClosed(t *testing.T) {
	for _, reset := range []bool{false, true} {
		for range 50 {
			closed := make(chan struct{}, 10)
			s := newRawServer(t, func(nc *net.TCPConn, r *bufio.Reader) {
				if readRequest(r) {
					_, _ = io.WriteString(nc, savedReply)
				}
				if reset {
					abort(nc)
				}
				closed <- struct{}{}
			})
			c := dialClient(t, s.base, httpapi.ClientOptions{})
			for n := range 3 {
				_, err := c.Save(t.Context(), fmt.Sprintf("agent-%d", n), []byte("1"))
				if err != nil && !errors.Is(err, protocol.CodeUnknown) && !errors.Is(err, protocol.CodeUnavailable) {
					t.Fatalf("save %d: %v", n, err)
				}
				if err == nil {
					<-closed
				}
			}
			_ = c.Close()
			s.stop()
			close(s.seen)
			var came strings.Builder
			for text := range s.seen {
				came.WriteString(text)
			}
			for n := range 3 {
				if sent := strings.Count(came.String(), fmt.Sprintf("/v1/agents/agent-%d ", n)); sent > 1 {
					t.Fatalf("save %d was sent %d times", n, sent)
				}
			}
		}
	}
}

// What was not sent is certainly not applied.
func TestClient_notSent(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, _ *http.Request) { answerOf{201, "", `{"revision":1}`}.write(w) })
	c := dialClient(t, s.URL, httpapi.ClientOptions{})
	if _, err := c.Save(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	eventuallyClient(t, "a save is not sent", func() bool { // a first one may still meet the old connection
		_, err := c.Save(t.Context(), "a", []byte("1"))
		return errors.Is(err, protocol.CodeUnavailable) && strings.Contains(err.Error(), "cannot reach "+s.URL)
	})
}

func eventuallyClient(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	end := time.Now().Add(guard)
	for !ok() {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}

// stuck is a server that says what arrived and answers nothing before the end of the test.
func stuck(tb testing.TB) (s *httptest.Server, arrived chan struct{}) {
	tb.Helper()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	s = answering(tb, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-release
	})
	tb.Cleanup(func() { close(release) }) // before the server waits for its requests
	return s, arrived
}

// result performs an operation on a goroutine of its own.
func result(ctx context.Context, c *httpapi.Client, op protocol.Op) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := protocol.Do(ctx, c, op)
		done <- err
	}()
	return done
}

var errNoPatience = errors.New("no patience")

func TestClient_endedBeforeSent(t *testing.T) {
	s, arrived := stuck(t)
	c := dialClient(t, s.URL, httpapi.ClientOptions{Connections: 1})
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errNoPatience)
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	for _, op := range []protocol.Op{saveOp("a", "1"), loadOp("a")} {
		_, err := protocol.Do(ended, c, op)
		if !errors.Is(err, protocol.CodeCanceled) || !errors.Is(err, context.Canceled) || !errors.Is(err, errNoPatience) {
			t.Errorf("%s, canceled: %v", op.Kind(), err)
		}
		if _, err := protocol.Do(late, c, op); !errors.Is(err, protocol.CodeOverloaded) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, too late: %v", op.Kind(), err)
		}
	}
	// The one connection is taken.
	first := result(t.Context(), c, loadOp("a"))
	<-arrived
	soon, stop := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer stop()
	if _, err := protocol.Do(soon, c, saveOp("b", "1")); !errors.Is(err, protocol.CodeOverloaded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a connection: %v", err)
	}
	_ = c.Close()
	<-first
	if n := len(arrived); n > 0 {
		t.Errorf("%d more arrived", n)
	}
}

func TestClient_endedAfterSent(t *testing.T) {
	for want, op := range map[protocol.Code]protocol.Op{
		protocol.CodeUnknown: saveOp("a", "1"), protocol.CodeCanceled: loadOp("a"),
	} {
		s, arrived := stuck(t)
		c := dialClient(t, s.URL, httpapi.ClientOptions{})
		ctx, cancel := context.WithCancelCause(t.Context())
		done := result(ctx, c, op)
		<-arrived
		cancel(errNoPatience)
		if err := <-done; !errors.Is(err, want) || !errors.Is(err, context.Canceled) || !errors.Is(err, errNoPatience) {
			t.Errorf("%s, canceled: %v", op.Kind(), err)
		}
		soon, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := protocol.Do(soon, c, op) // sent most likely, but nobody can be sure
		stop()
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, want) && !errors.Is(err, protocol.CodeOverloaded) {
			t.Errorf("%s, too late: %v", op.Kind(), err)
		}
	}
}

func TestClient_Close(t *testing.T) {
	s, arrived := stuck(t)
	c := dialClient(t, s.URL, httpapi.ClientOptions{Connections: 2})
	write, read := result(context.Background(), c, saveOp("a", "1")), result(context.Background(), c, loadOp("a"))
	<-arrived
	<-arrived
	waiting := protocol.NewRequest(saveOp("b", "1"))
	go c.Start(context.Background(), waiting)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-write; !errors.Is(err, protocol.CodeUnknown) {
		t.Errorf("the change under way: %v", err)
	}
	if err := <-read; !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("the read under way: %v", err)
	}
	if reply := c.Wait(context.Background(), waiting); !errors.Is(reply.Err, protocol.CodeUnavailable) {
		t.Errorf("the change without a connection: %v", reply.Err)
	}
	if _, err := c.Load(t.Context(), "a"); !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Wait, on another goroutine than Start, ends with its own context.
func TestClient_WaitElsewhere(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		answerOf{201, "", `{"revision":1}`}.write(w)
	})
	c := dialClient(t, s.URL, httpapi.ClientOptions{})
	r := protocol.NewRequest(saveOp("a", "1"))
	var started sync.WaitGroup
	started.Go(func() { c.Start(t.Context(), r) })
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if reply := c.Wait(ctx, r); !errors.Is(reply.Err, protocol.CodeUnknown) || !errors.Is(reply.Err, context.Canceled) {
		t.Errorf("got %v", reply.Err)
	}
	close(release)
	started.Wait()

	left := protocol.NewRequest(saveOp("a", "1"))
	if !left.Leave() {
		t.Fatal("it was not left")
	}
	c.Start(t.Context(), left) // the handler would close a channel twice
}
