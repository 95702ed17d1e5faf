package resp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

func TestClient_lostConnection(t *testing.T) {
	addr := scripted(t, func(_ net.Conn, r io.Reader) { _, _ = io.ReadFull(r, make([]byte, 10)) })
	for _, c := range []struct {
		op   protocol.Op
		want protocol.Code
	}{
		{must(protocol.Save("a", []byte("1"), protocol.Condition{})), protocol.CodeUnknown},
		{must(protocol.Txn(must(protocol.Delete("a", protocol.Condition{})))), protocol.CodeUnknown},
		{protocol.Clear(), protocol.CodeUnknown},
		{must(protocol.Load("a")), protocol.CodeUnavailable},
		{must(protocol.List("", "", 0)), protocol.CodeUnavailable},
	} {
		if _, err := protocol.Do(t.Context(), dial(t, addr, resp.ClientOptions{}), c.op); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %s", c.op.Kind(), err, c.want)
		}
	}
}

// Of requests that are cut off while they are written, those that were not begun are certainly not applied.
func TestClient_notBegun(t *testing.T) {
	here, there := net.Pipe() // without a buffer: what was written was read
	conns := make(chan net.Conn, 1)
	conns <- here
	dialer := func(context.Context, string, string) (net.Conn, error) {
		select {
		case nc := <-conns:
			return nc, nil
		default:
			return nil, errors.New("only once")
		}
	}
	greeted := make(chan *peer, 1)
	go func() {
		p := newPeer(t, there)
		p.until("3\r\n")
		p.send("%0\r\n")
		greeted <- p
	}()
	c := dial(t, "pipe", resp.ClientOptions{Dialer: dialer})
	p := receive(t, greeted)
	start := func(id string) *protocol.Request {
		r := protocol.NewRequest(must(protocol.Save(id, []byte("1"), protocol.Condition{})))
		c.Start(t.Context(), r)
		return r
	}
	first := start("first")
	p.until("STATE") // the write of it is under way
	second := start("second")
	third := protocol.NewRequest(must(protocol.Load("third")))
	c.Start(t.Context(), third)
	p.Close()
	if err := c.Wait(t.Context(), first).Err; !errors.Is(err, protocol.CodeUnknown) {
		t.Errorf("first: %v", err)
	}
	for _, r := range []*protocol.Request{second, third} {
		if err := c.Wait(t.Context(), r).Err; !errors.Is(err, protocol.CodeUnavailable) {
			t.Errorf("%s: %v", r.Op().ID(), err)
		}
	}
}

func TestClient_nonsense(t *testing.T) {
	for _, nonsense := range []string{"hello\r\n", "+OK\r\n", "*1\r\n:1\r\n", "_\r\n:1\r\n", "$9999999999999\r\n", "*2\r\n:1\r\n"} {
		addr := scripted(t, func(nc net.Conn, r io.Reader) {
			_, _ = io.ReadFull(r, make([]byte, 10))
			_, _ = nc.Write([]byte(nonsense))
		})
		c := dial(t, addr, resp.ClientOptions{})
		if _, err := c.Save(t.Context(), "a", []byte("1")); !errors.Is(err, protocol.CodeUnknown) {
			t.Errorf("%q: %v", nonsense, err)
		}
	}
}

func TestClient_reconnect(t *testing.T) {
	f := protocoltest.New()
	path := filepath.Join(t.TempDir(), "s") // a port could be taken by somebody else meanwhile
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, l, f, resp.Options{})
	c := dial(t, "unix:"+path, resp.ClientOptions{MaxBackoff: 5 * time.Millisecond})
	if _, err := c.Save(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a read fails", func() bool {
		_, err := c.Load(t.Context(), "a")
		if err != nil && !errors.Is(err, protocol.CodeUnavailable) {
			t.Fatalf("got %v", err)
		}
		return err != nil
	})
	if l, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, f, resp.Options{})
	eventually(t, "it is back", func() bool {
		reply, err := c.Load(t.Context(), "a")
		return err == nil && string(reply.State) == "1"
	})
}

func TestClient_deadline(t *testing.T) {
	f := protocoltest.New()
	release, started := make(chan struct{}), make(chan struct{}, 10)
	f.Before = func(_ context.Context, _ *protocol.Request) *protocol.Reply {
		started <- struct{}{}
		<-release
		return nil
	}
	_, addr := serve(t, f, resp.Options{})
	t.Cleanup(func() { close(release) })
	c := dial(t, addr, resp.ClientOptions{InFlight: 1})

	// Sent, and still without a reply.
	ctx, cancel := context.WithCancelCause(t.Context())
	write := protocol.NewRequest(must(protocol.Save("a", []byte("1"), protocol.Condition{})))
	c.Start(ctx, write)
	receive(t, started)
	why := errors.New("no patience")
	cancel(why)
	if err := c.Wait(ctx, write).Err; !errors.Is(err, protocol.CodeUnknown) || !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("a write that was sent: %v", err)
	}

	// Not sent, since nothing else goes out before the first is answered.
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	var last error
	for range 5 { // one or two have room in a queue
		r := protocol.NewRequest(must(protocol.Save("a", []byte("1"), protocol.Condition{})))
		c.Start(ctx, r)
		last = c.Wait(ctx, r).Err
	}
	if !errors.Is(last, protocol.CodeOverloaded) || !errors.Is(last, context.DeadlineExceeded) {
		t.Errorf("a write that was not sent: %v", last)
	}
	ctx, stop = context.WithCancel(t.Context())
	stop()
	if _, err := c.Load(ctx, "a"); !errors.Is(err, protocol.CodeCanceled) && !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("a canceled read: %v", err)
	}
}

// A context that has ended before lets nothing be sent.
func TestClient_endedBefore(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{})
	c := dial(t, addr, resp.ClientOptions{})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	for ctx, want := range map[context.Context]protocol.Code{canceled: protocol.CodeCanceled, late: protocol.CodeOverloaded} {
		for range 20 {
			r := protocol.NewRequest(must(protocol.Save("a", []byte("1"), protocol.Condition{})))
			c.Start(ctx, r)
			if _, err := c.Load(t.Context(), "a"); !errors.Is(err, protocol.CodeNotFound) { // would come behind it
				t.Fatalf("afterwards: %v", err)
			}
			if err := c.Wait(ctx, r).Err; !errors.Is(err, want) || !errors.Is(err, ctx.Err()) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}
