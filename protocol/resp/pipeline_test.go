package resp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

func TestPipeline_order(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	p := connect(t, addr)
	got := p.ask("SET a 1\r\nGET a\r\nSET a 2\r\nSET a 3\r\nGET a\r\nPING\r\nDEL a\r\nGET a\r\nfoo\r\nSET a 4\r\nMULTI\r\nGET a\r\nEXEC\r\nGET a")
	want := "+OK~$1~1~+OK~+OK~$1~3~+PONG~:1~$-1~-ERR unknown command 'foo', with args beginning with: ~+OK~+OK~+QUEUED~*1~$1~4~$1~4~"
	if want = strings.ReplaceAll(want, "~", "\r\n"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A handler that delays its replies must see consecutive writes together, and a read only behind their replies.
func TestPipeline_submittedWhole(t *testing.T) {
	f := protocoltest.New()
	var mu sync.Mutex
	var events []string
	note := func(what string, r *protocol.Request) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, what+" "+r.Op().Kind().String()+" "+r.Op().ID()+string(r.Op().State()))
	}
	f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply { note("start", r); return nil }
	f.Waits = func(_ context.Context, r *protocol.Request) { note("wait", r) }
	_, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	p.ask(bulks("SET", "a", "1") + bulks("SET", "a", "2") + bulks("PING") + bulks("DEL", "b") + bulks("GET", "a") + bulks("SET", "a", "3"))
	want := []string{
		"start save a1", "start save a2", "start delete b", "wait save a1", "wait save a2", "wait delete b",
		"start load a", "wait load a", "start save a3", "wait save a3",
	}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", events, want)
	}
}

// A large reply is not kept behind writes that are not answered yet: it would be memory that nobody counts.
func TestPipeline_largeReplyWaits(t *testing.T) {
	for size, want := range map[int]string{
		10:     "[start 1 start 2 wait 1 wait 2]",
		16_250: "[start 1 wait 1 start 2 wait 2]", // with what it takes beyond its text
	} {
		f := protocoltest.New()
		var mu sync.Mutex
		var events []string
		note := func(what string, r *protocol.Request) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, what+" "+string(r.Op().State()))
		}
		f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply { note("start", r); return nil }
		f.Waits = func(_ context.Context, r *protocol.Request) { note("wait", r) }
		pipes := newPipeListener()
		serveOn(t, pipes, f, resp.Options{})
		p := newPeer(t, pipes.dial())
		text := strings.Repeat("x", size)
		p.send(bulks("SET", "a", "1") + bulks("ECHO", text) + bulks("SET", "a", "2")) // read at once
		p.until("+OK\r\n" + fmt.Sprintf("$%d\r\n", size) + text + "\r\n+OK\r\n")
		mu.Lock()
		if got := fmt.Sprint(events); got != want {
			t.Errorf("%d bytes: got %s, want %s", size, got, want)
		}
		mu.Unlock()
	}
}

// Transactions that only write share a commit too; one that reads waits.
func TestPipeline_transactionsTogether(t *testing.T) {
	f := protocoltest.New()
	var mu sync.Mutex
	var events []string
	f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, fmt.Sprintf("start %d", len(r.Op().Ops())))
		return nil
	}
	f.Waits = func(_ context.Context, r *protocol.Request) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, fmt.Sprintf("wait %d", len(r.Op().Ops())))
	}
	_, addr := serve(t, f, resp.Options{})
	set, get := bulks("SET", "a", "1"), bulks("GET", "a")
	multi, exec := bulks("MULTI"), bulks("EXEC")
	p := connect(t, addr)
	got := p.ask(multi + set + exec + multi + set + set + exec + multi + get + set + set + exec)
	want := "+OK~+QUEUED~*1~+OK~+OK~+QUEUED~+QUEUED~*2~+OK~+OK~+OK~+QUEUED~+QUEUED~+QUEUED~*3~$1~1~+OK~+OK~"
	if want = strings.ReplaceAll(want, "~", "\r\n"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := fmt.Sprint(events), "[start 1 start 2 wait 1 wait 2 start 3 wait 3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Writes that are answered late, and in another order, are still answered in the order of the commands.
func TestPipeline_lateReplies(t *testing.T) {
	const n = 100
	h := &lateHandler{Memory: protocoltest.New(), n: n}
	_, addr := serve(t, h, resp.Options{})
	p := connect(t, addr)
	var in, want strings.Builder
	for i := range n {
		in.WriteString(bulks("STATE.SAVE", fmt.Sprintf("k%d", i), "1"))
		fmt.Fprintf(&want, "*2\r\n:%d\r\n:1700000000123\r\n", i+1)
	}
	if got := p.ask(in.String()); got != want.String() {
		t.Errorf("got %.300q", got)
	}
}

func TestPipeline_tenThousand(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	const n = 10_000
	var in, want bytes.Buffer
	for i := range n / 2 {
		in.WriteString(bulks("SET", fmt.Sprintf("k%d", i%100), fmt.Sprint(i)) + bulks("GET", fmt.Sprintf("k%d", i%100)))
		text := fmt.Sprint(i)
		fmt.Fprintf(&want, "+OK\r\n$%d\r\n%s\r\n", len(text), text)
	}
	sent := make(chan error, 1)
	go func() { _, err := p.Write(in.Bytes()); sent <- err }()
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(p.r, got); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, sent); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("the replies differ")
	}
}

func TestPipeline_byteByByte(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	p := connect(t, addr)
	for _, c := range []byte(bulks("SET", "a", `"`+strings.Repeat("x", 2000)+`"`) + "STRLEN a\r\n") {
		p.send(string(c))
	}
	if got := p.ask("PING"); got != "+OK\r\n:2002\r\n+PONG\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestPipeline_disconnect(t *testing.T) {
	for name, half := range map[string]bool{"half closed": true, "closed": false} {
		t.Run(name, func(t *testing.T) {
			f := protocoltest.New()
			_, addr := serve(t, f, resp.Options{})
			p := connect(t, addr)
			var in strings.Builder
			for i := range 100 {
				in.WriteString(bulks("SET", fmt.Sprintf("k%d", i), "1"))
			}
			p.send(in.String() + "*3\r\n$3\r\nSET\r\n$4\r\nlast")
			if half {
				if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got := p.rest(); got != strings.Repeat("+OK\r\n", 100) {
					t.Errorf("got %.100q", got)
				}
			} else {
				p.Close()
			}
			eventually(t, "all complete commands ran", func() bool { return f.Len() == 100 })
		})
	}
}

// What only reads is of no use to a client that has left; what writes is performed.
func TestPipeline_unheard(t *testing.T) {
	f := protocoltest.New()
	f.Put("large", `"`+strings.Repeat("x", 1<<20)+`"`)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var reads int // by the one executor
	f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		if op := r.Op(); op.Writes() {
			return nil
		}
		if reads++; reads == 1 {
			close(begun)
			<-goOn
		}
		return nil
	}
	pipes := newPipeListener()
	s := serveOn(t, pipes, f, resp.Options{})
	p := newPeer(t, pipes.dial())
	p.send(strings.Repeat(bulks("GET", "large")+bulks("MGET", "large", "large")+bulks("KEYS", "*")+bulks("STATE.LIST"), 20) +
		bulks("WATCH", "a") + bulks("MULTI") + bulks("GET", "a") + bulks("SET", "a", "1") + bulks("EXEC") + bulks("SET", "b", "1"))
	receive(t, begun)
	p.Close()
	close(goOn)
	eventually(t, "the changes were made", func() bool { return f.Len() == 3 })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reads != 2 { // the first one, and WATCH, without which EXEC would mean something else
		t.Errorf("%d reads were performed for nobody", reads)
	}
}

// A reset cancels what the handler has not taken.
func TestPipeline_reset(t *testing.T) {
	f := protocoltest.New()
	started, left := make(chan struct{}), make(chan error, 1)
	f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
		close(started)
		select {
		case <-ctx.Done():
			left <- ctx.Err()
		case <-time.After(guard):
			left <- nil
		}
		return &protocol.Reply{Err: protocol.AsError(ctx.Err())}
	}
	_, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	p.send(bulks("SET", "a", "1") + bulks("GET", "a") + bulks("SET", "a", "2"))
	receive(t, started)
	if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if err := receive(t, left); err == nil {
		t.Error("the request was not canceled")
	}
}

func TestPipeline_unixAndPipe(t *testing.T) {
	f := protocoltest.New()
	l := unixListener(t)
	serveOn(t, l, f, resp.Options{})
	nc, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := newPeer(t, nc).ask("SET a 1"); got != "+OK\r\n" {
		t.Errorf("unix: %q", got)
	}
	pipes := newPipeListener()
	serveOn(t, pipes, f, resp.Options{})
	p := newPeer(t, pipes.dial())
	go func() { _, _ = p.Write([]byte("GET a\r\nQUIT\r\n")) }()
	if got := p.rest(); got != "$1\r\n1\r\n+OK\r\n" {
		t.Errorf("pipe: %q", got)
	}
}

// lateHandler performs writes at once, and answers each n of them in the opposite order.
type lateHandler struct {
	*protocoltest.Memory
	n    int
	held []func()
}

func (h *lateHandler) Start(_ context.Context, r *protocol.Request) {
	r.Take()
	reply := h.Apply(r.Op())
	h.held = append(h.held, func() { r.Answer(reply) })
	if len(h.held) == h.n {
		h.release()
	}
}

// Wait releases what is held if the pipeline came in several parts.
func (h *lateHandler) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	h.release()
	return h.Memory.Wait(ctx, r)
}

func (h *lateHandler) release() {
	for i := len(h.held) - 1; i >= 0; i-- {
		h.held[i]()
	}
	h.held = nil
}

// pipeListener gives connections that are no sockets.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	a, b := net.Pipe()
	l.conns <- a
	return b
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
