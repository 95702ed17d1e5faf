package resp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

func dial(tb testing.TB, addr string, o resp.ClientOptions) *resp.Client {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	c, err := resp.Dial(ctx, addr, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func must(op protocol.Op, err error) protocol.Op {
	if err != nil {
		panic(err)
	}
	return op
}

// Everything that the handler answers comes out at the other end of the wire.
func TestClient_sameAsHandler(t *testing.T) {
	fill := func(f *protocoltest.Memory) *protocoltest.Memory {
		for _, id := range []string{"a", "b", "c"} {
			f.Put(id, `{"id":"`+id+`"}`)
		}
		return f
	}
	none := protocol.Condition{}
	ops := []protocol.Op{
		must(protocol.Load("a")), must(protocol.Load("none")), must(protocol.Stat("a")), must(protocol.Stat("none")),
		must(protocol.Save("a", []byte(" [1,\r\n2]"), none)), must(protocol.Load("a")),
		must(protocol.Save("new", []byte("1"), protocol.IfAbsent())), must(protocol.Save("new", []byte("1"), protocol.IfAbsent())),
		must(protocol.Save("new", []byte("1"), protocol.IfExists())), must(protocol.Save("x", []byte("1"), protocol.IfExists())),
		must(protocol.Save("b", []byte("1"), protocol.IfRevision(2))), must(protocol.Save("b", []byte("1"), protocol.IfRevision(2))),
		must(protocol.Delete("new", protocol.IfExists())), must(protocol.Delete("new", protocol.IfExists())), must(protocol.Delete("new", none)),
		must(protocol.Delete("b", protocol.IfRevision(1))),
		must(protocol.List("", "", 0)), must(protocol.List("", "", 2)), must(protocol.List("", "", 3)), must(protocol.List("b", "", 1)),
		must(protocol.List("", "b", protocol.MaxListLimit)), must(protocol.List("zz", "", 0)),
		must(protocol.Count("")), must(protocol.Count("a")),
		must(protocol.Txn(
			must(protocol.Save("a", []byte("1"), protocol.IfExists())), must(protocol.Load("a")), must(protocol.Load("none")),
			must(protocol.Stat("b")), must(protocol.Stat("none")), must(protocol.Delete("c", none)), must(protocol.Delete("c", none)),
			must(protocol.Check("none", protocol.IfAbsent())), must(protocol.Check("b", protocol.IfExists())),
			must(protocol.Save("a", []byte("2"), protocol.IfAbsent())).OrSkip(), must(protocol.Delete("b", protocol.IfRevision(99))).OrSkip(),
		)),
		must(protocol.Txn(must(protocol.Save("d", []byte("1"), none)), must(protocol.Check("a", protocol.IfRevision(1))))),
		must(protocol.Save("a", []byte("3"), protocol.IfAbsent())).OrSkip(), must(protocol.Save("a", []byte("3"), protocol.IfExists())).OrSkip(),
		must(protocol.Save("none", []byte("3"), protocol.IfExists())).OrSkip(), must(protocol.Delete("b", protocol.IfRevision(99))).OrSkip(),
		must(protocol.Load("d")), must(protocol.Bulk(must(protocol.Load("a")), must(protocol.Load("b")))),
		protocol.Clear(), must(protocol.Count("")),
	}
	_, addr := serve(t, fill(protocoltest.New()), resp.Options{})
	c, direct := dial(t, addr, resp.ClientOptions{Name: "test"}), fill(protocoltest.New())
	for i, op := range ops {
		want, wantErr := protocol.Do(t.Context(), direct, op)
		got, gotErr := protocol.Do(t.Context(), c, op)
		opts := []cmp.Option{cmpopts.IgnoreFields(protocol.Reply{}, "Err"), cmpopts.EquateEmpty(), ignoreFoundOfChecks(&op)}
		if diff := cmp.Diff(want, got, opts...); diff != "" {
			t.Errorf("%d, %s: (-direct +client)\n%s", i, op.Kind(), diff)
		}
		if diff := cmp.Diff(errorText(wantErr), errorText(gotErr)); diff != "" {
			t.Errorf("%d, %s: (-direct +client)\n%s", i, op.Kind(), diff)
		}
	}
}

// ignoreFoundOfChecks leaves out what STATE.CHECK, and what was skipped, do not answer.
func ignoreFoundOfChecks(op *protocol.Op) cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		if p.Last().String() != ".Found" || len(p) < 3 {
			return false
		}
		index, ok := p.Index(-2).(cmp.SliceIndex)
		return ok && (op.Ops()[index.Key()].Kind() == protocol.KindCheck || op.Ops()[index.Key()].Skip())
	}, cmp.Ignore())
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestClient_refused(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{StateBytes: 100})
	c := dial(t, addr, resp.ClientOptions{})
	ctx := t.Context()
	if _, err := protocol.Do(ctx, c, must(protocol.Scan(0, 1))); !errors.Is(err, protocol.CodeInvalid) {
		t.Errorf("Scan: %v", err)
	}
	large := []byte(`"` + strings.Repeat("x", 100) + `"`)
	for name, op := range map[string]protocol.Op{
		"lone":        must(protocol.Save("a", large, protocol.Condition{})),
		"transaction": must(protocol.Txn(must(protocol.Save("b", []byte("1"), protocol.Condition{})), must(protocol.Save("a", large, protocol.Condition{})))),
	} {
		_, err := protocol.Do(ctx, c, op)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != protocol.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		} else if _, ok := e.Fact(protocol.FactTooLarge); !ok {
			t.Errorf("%s: the fact is missing: %v", name, err)
		}
	}
	if n, err := c.Count(ctx, ""); n != 0 || err != nil {
		t.Errorf("Count: %d, %v", n, err)
	}
}

func TestClient_Dial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := resp.Dial(ctx, addr, resp.ClientOptions{}); !errors.Is(err, protocol.CodeUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that says nothing: %v", err)
	}
	l.Close()
	if _, err := resp.Dial(t.Context(), addr, resp.ClientOptions{}); !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("no server: %v", err)
	}
	if _, err := resp.Dial(t.Context(), addr, resp.ClientOptions{Name: "a b"}); !errors.Is(err, protocol.CodeInvalid) {
		t.Errorf("a bad name: %v", err)
	}
	unix := unixListener(t)
	serveOn(t, unix, protocoltest.New(), resp.Options{})
	c := dial(t, "unix:"+unix.Addr().String(), resp.ClientOptions{})
	if _, err := c.Save(t.Context(), "a", []byte("1")); err != nil {
		t.Error(err)
	}
}

func TestClient_concurrent(t *testing.T) {
	for _, o := range []resp.ClientOptions{{}, {Connections: 3}, {InFlight: 1}, {InFlight: 7}} {
		t.Run(fmt.Sprintf("%d connections, %d in flight", o.Connections, o.InFlight), func(t *testing.T) {
			f := protocoltest.New()
			_, addr := serve(t, f, resp.Options{})
			c := dial(t, addr, o)
			var callers sync.WaitGroup
			for i := range 20 {
				callers.Go(func() { hammer(t, c, fmt.Sprintf("agent-%d", i)) })
			}
			callers.Wait()
			if f.Len() != 20 {
				t.Errorf("%d agents", f.Len())
			}
		})
	}
}

func hammer(t *testing.T, c *resp.Client, id string) {
	var revision int64
	for n := range 50 {
		state := fmt.Sprintf(`{"n":%d,"pad":%q}`, n, strings.Repeat("x", n*100))
		reply, err := c.Txn(t.Context(), must(protocol.Save(id, []byte(state), protocol.Condition{})), must(protocol.Load(id)))
		if err != nil {
			t.Errorf("%s: %v", id, err)
			return
		}
		if got := string(reply.Replies[1].State); got != state || reply.Replies[0].Revision <= revision {
			t.Errorf("%s: got %.50s", id, got)
		}
		revision = reply.Replies[0].Revision
		got, err := c.Load(t.Context(), id)
		if err != nil || string(got.State) != state {
			t.Errorf("%s: %v, %.50s", id, err, got.State)
		}
	}
}

// Requests that were started one behind the other are performed in that order.
func TestClient_startedInOrder(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{})
	c := dial(t, addr, resp.ClientOptions{InFlight: 10})
	var all []*protocol.Request
	for i := range 200 {
		r := protocol.NewRequest(must(protocol.Save("a", fmt.Append(nil, i), protocol.Condition{})))
		c.Start(t.Context(), r)
		all = append(all, r)
	}
	for i, r := range all {
		if reply := c.Wait(t.Context(), r); reply.Err != nil || reply.Revision != int64(i+1) {
			t.Fatalf("%d: %+v", i, reply)
		}
	}
}

// scripted is a server that reads greetings properly and does what the test says with everything else.
func scripted(t *testing.T, behave func(nc net.Conn, r io.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				p := newPeer(t, nc)
				if _, err := io.ReadFull(p.r, make([]byte, len(bulks("HELLO", "3")))); err != nil {
					return // a client that was closed meanwhile
				}
				p.send("%0\r\n")
				behave(nc, p.r)
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

// What an error's message looks like does not change its facts, whatever its code.
func TestClient_facts(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{})
	c := dial(t, addr, resp.ClientOptions{})
	for _, code := range protocol.Codes() {
		if code == protocol.CodeNotFound {
			continue // the answer to it is null
		}
		for _, message := range []string{"", "some words", "index=7 is no fact", "a=", "=b", "Index=7", ": index=7"} {
			sent := protocol.Errorf(code, "%s", message).With(protocol.FactOffset, "1").With(protocol.FactElapsed, "2s")
			f.Before = func(context.Context, *protocol.Request) *protocol.Reply { return &protocol.Reply{Err: sent} }
			_, err := c.Count(t.Context(), "")
			var got *protocol.Error
			if !errors.As(err, &got) || got.Code != code || !strings.HasSuffix(got.Message, message) {
				t.Errorf("sent %v, got %v", sent, err)
				continue
			}
			if diff := cmp.Diff(sent.Facts, got.Facts); diff != "" {
				t.Errorf("%v: (-sent +got)\n%s", sent, diff)
			}
		}
	}
}

func TestClient_Close(t *testing.T) {
	f := protocoltest.New()
	started := make(chan struct{}, 1)
	f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
		started <- struct{}{}
		<-ctx.Done()
		return &protocol.Reply{Err: protocol.AsError(ctx.Err())}
	}
	s, addr := serve(t, f, resp.Options{})
	c := dial(t, addr, resp.ClientOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := c.Save(context.Background(), "a", []byte("1"))
		done <- err
	}()
	receive(t, started)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, done); !errors.Is(err, protocol.CodeUnknown) {
		t.Errorf("the request under way: %v", err)
	}
	if _, err := c.Load(t.Context(), "a"); !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx) // the request waits for its context
}

// A server that does not read must not keep the client from closing.
func TestClient_CloseWhileWriting(t *testing.T) {
	writing, stuck := make(chan struct{}), make(chan struct{})
	addr := scripted(t, func(_ net.Conn, r io.Reader) {
		_, _ = io.ReadFull(r, make([]byte, 10))
		close(writing)
		<-stuck
	})
	t.Cleanup(func() { close(stuck) })
	c := dial(t, addr, resp.ClientOptions{})
	var callers sync.WaitGroup
	large := []byte(`"` + strings.Repeat("x", 6<<20) + `"`)
	for range 4 {
		callers.Go(func() {
			if _, err := c.Save(context.Background(), "a", large); err == nil {
				t.Error("a save was answered")
			}
		})
	}
	receive(t, writing)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	callers.Wait()
}
