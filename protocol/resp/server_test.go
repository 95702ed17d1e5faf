package resp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/limit"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

func TestServer_protocolErrors(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	for input, want := range map[string]string{
		"*2\r\n$3\r\nGET\r\n$10000000000\r\n":        "-ERR Protocol error: invalid bulk length 10000000000, one command has at most 67108864 bytes\r\n",
		"*100000000\r\n":                             "-ERR Protocol error: invalid multibulk length\r\n",
		"PING\r\n*1\r\nPING\r\n":                     "+PONG\r\n-ERR Protocol error: expected '$', got 'P'\r\n",
		"*2000\r\n$4\r\nPING\r\n":                    "-ERR Protocol error: too many arguments: at most 1024 are allowed here\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\n\r\n":         "",
		"GET / HTTP/1.1\r\nHost: x\r\nPING\r\n":      "-ERR this is the Redis protocol, not HTTP\r\n",
		"GET / x\r\nHost: x\r\nPING\r\n":             "-ERR wrong number of arguments for 'get' command\r\n",
		strings.Repeat("x", 70<<10) + "\r\nPING\r\n": "-ERR Protocol error: too big inline request\r\n",
	} {
		t.Run(fmt.Sprintf("%.30q", input), func(t *testing.T) {
			p := connect(t, addr)
			p.send(input)
			if got := p.rest(); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestServer_tooManyClients(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{Connections: limit.NewConnections(2)})
	a, b := connect(t, addr), connect(t, addr)
	a.ask("PING")
	b.ask("PING")
	if got := connect(t, addr).rest(); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("got %q", got)
	}
	_, err := resp.Dial(context.Background(), addr, resp.ClientOptions{})
	if !errors.Is(err, protocol.CodeUnavailable) {
		t.Errorf("Dial: %v", err)
	}
	a.Close()
	eventually(t, "there is room again", func() bool {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = nc.Write([]byte("PING\r\n"))
		line := make([]byte, 5)
		_, err = io.ReadFull(nc, line)
		return err == nil && string(line) == "+PONG"
	})
}

func TestServer_stateTooLarge(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{StateBytes: 10})
	p := connect(t, addr)
	if got := p.ask("SET a 12345678901"); !strings.HasPrefix(got, "-INVALID too_large=1 ") {
		t.Errorf("got %q", got)
	}
	if got := p.ask("MULTI\r\nSET a 12345678901\r\nEXEC"); !strings.HasPrefix(got, "+OK\r\n-INVALID too_large=1 ") || !strings.Contains(got, "-EXECABORT ") {
		t.Errorf("got %q", got)
	}
}

func TestServer_outputLimit(t *testing.T) {
	f := protocoltest.New()
	f.Most = 50_000
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprintf("agent-%02d", i))
		f.Put(ids[i], `"`+strings.Repeat("x", 998)+`"`)
	}
	f.Put("large", `"`+strings.Repeat("x", 60_000)+`"`)
	_, addr := serve(t, f, resp.Options{OutputBytes: 50_000, StateBytes: 100_000})
	p := connect(t, addr)
	for _, c := range []string{
		"MGET " + strings.Join(ids, " "), "GET large", "STATE.LOAD large",
		"MULTI\r\nSET new 1\r\nMGET " + strings.Join(ids, " ") + "\r\nEXEC",
	} {
		if got := p.ask(c); !strings.Contains(got, "-INVALID too_large=1 ") {
			t.Errorf("%.30s: got %.200q", c, got)
		}
	}
	if got := p.ask("EXISTS new"); got != ":0\r\n" {
		t.Errorf("a refused transaction was applied")
	}
	if got := p.ask("MGET " + strings.Join(ids[:40], " ")); !strings.HasPrefix(got, "*40\r\n$1000\r\n") {
		t.Errorf("got %.200q", got)
	}
	// What a transaction writes counts for what it reads later.
	if got := p.ask("MULTI\r\nSET large 1\r\nGET large\r\nGET agent-01\r\nEXEC"); !strings.Contains(got, "*3\r\n+OK\r\n$1\r\n1\r\n$1000\r\n") {
		t.Errorf("got %.200q", got)
	}
}

func TestServer_outputLimitOfLists(t *testing.T) {
	f := protocoltest.New()
	for i := range 1000 {
		f.Put(fmt.Sprintf("agent-%d", i), "1")
	}
	_, addr := serve(t, f, resp.Options{OutputBytes: 5_000})
	p := connect(t, addr)
	for c, instead := range map[string]string{
		"KEYS *": "use SCAN", "STATE.LIST LIMIT 1000": "use a lower LIMIT",
	} {
		if got := p.ask(c); !strings.HasPrefix(got, "-INVALID too_large=1 ") || !strings.Contains(got, instead) {
			t.Errorf("%s: got %.200q", c, got)
		}
	}
	if got := p.ask("KEYS agent-99*"); !strings.HasPrefix(got, "*11\r\n") {
		t.Errorf("got %.200q", got)
	}
}

// A MULTI without end keeps no more than one command may have.
func TestServer_endlessMulti(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{RequestBytes: 100_000})
	p := connect(t, addr)
	p.send("MULTI\r\n")
	p.until("+OK\r\n")
	value := `"` + strings.Repeat("x", 9_000) + `"`
	refused := 0
	for range 50 {
		p.send(bulks("SET", "a", value))
		if line := p.until("\r\n"); strings.HasPrefix(line, "-INVALID too_large=1 ") {
			refused++
		} else if line != "+QUEUED\r\n" {
			t.Fatalf("got %q", line)
		}
	}
	if refused != 1 {
		t.Errorf("%d commands were refused, 1 should be: the next ones are not kept", refused)
	}
	if info := p.ask("EXEC\r\nCLIENT INFO"); !strings.HasPrefix(info, "-EXECABORT ") || strings.Contains(info, "tot-mem=9") {
		t.Errorf("got %q", info)
	}
	_, addr = serve(t, protocoltest.New(), resp.Options{})
	p = connect(t, addr)
	p.send("MULTI\r\n" + strings.Repeat(bulks("SET", "a", "1"), 1025) + "EXEC\r\n")
	got := p.until("-EXECABORT Transaction discarded because of previous errors.\r\n")
	if strings.Count(got, "+QUEUED\r\n") != 1024 || !strings.Contains(got, "-INVALID the transaction has more than 1024 operations\r\n") {
		t.Errorf("got %.100q", got)
	}
}

// Commands of several connections that are not answered yet hold the memory: another one is refused, and served once there is room.
func TestServer_inflightLimit(t *testing.T) {
	const large = 100_000
	f := protocoltest.New()
	started, release := make(chan struct{}, 4), make(chan struct{})
	f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		if r.Op().ID() == "a" {
			started <- struct{}{}
			<-release
		}
		return nil
	}
	_, addr := serve(t, f, resp.Options{
		Inflight: limit.NewBytes(350_000, 300*time.Millisecond), RequestTimeout: 300 * time.Millisecond,
	})
	value := `"` + strings.Repeat("x", large) + `"`
	command := bulks("SET", "a", value)
	busy := make([]*peer, 3)
	for i := range busy {
		busy[i] = connect(t, addr)
		busy[i].send(command)
		receive(t, started)
	}
	p := connect(t, addr)
	p.send(command)
	if got := p.rest(); !strings.HasPrefix(got, "-OVERLOADED ") {
		t.Errorf("got %q", got)
	}
	if got := connect(t, addr).ask("SET small 1"); got != "+OK\r\n" {
		t.Errorf("a small command: %q", got)
	}
	close(release)
	for _, b := range busy {
		b.until("+OK\r\n")
	}
	if got := connect(t, addr).ask(command); got != "+OK\r\n" {
		t.Errorf("with room again: %q", got)
	}
}

// One who stops in the middle of a large command does not hold memory for ever.
func TestServer_halfCommand(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{RequestTimeout: 50 * time.Millisecond})
	p := connect(t, addr)
	p.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n" + strings.Repeat("x", 100_000))
	if got := p.rest(); got != "-ERR Protocol error: the rest of a large command did not come in time\r\n" {
		t.Errorf("got %q", got)
	}
}

// Nor does one who does not end a large transaction; one who did may take its time.
func TestServer_idleMulti(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{RequestTimeout: 200 * time.Millisecond})
	large := "MULTI\r\n" + bulks("SET", "a", `"`+strings.Repeat("x", 100_000)+`"`)
	done, discarded, small := connect(t, addr), connect(t, addr), connect(t, addr)
	done.send(large + "EXEC\r\n")
	done.until("*1\r\n+OK\r\n")
	discarded.send(large + "DISCARD\r\n")
	discarded.until("+QUEUED\r\n+OK\r\n")
	small.send("MULTI\r\nSET a 1\r\n")
	small.until("+QUEUED\r\n")
	p := connect(t, addr)
	p.send(large)
	if got := p.rest(); got != "+OK\r\n+QUEUED\r\n-ERR Protocol error: a large transaction was not ended in time\r\n" {
		t.Errorf("got %q", got)
	}
	for _, p := range []*peer{done, discarded, small} {
		p.ask("DISCARD") // fails if the connection was closed
	}
}

// All pages of a list have the time of one request, and what is done with them too.
func TestServer_listsInTime(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{RequestTimeout: 20 * time.Millisecond})
	p := connect(t, addr)
	for _, c := range []string{"KEYS *", "SCAN 0", "STATE.LIST"} {
		f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
			<-ctx.Done()
			return &protocol.Reply{Entries: []protocol.Entry{{ID: "a"}}}
		}
		if got := p.ask(c); got != "-OVERLOADED not done before the deadline\r\n" {
			t.Errorf("%s: got %q", c, got)
		}
	}
	_, addr = serve(t, f, resp.Options{})
	p = connect(t, addr)
	for _, c := range []string{"KEYS *", "STATE.LIST"} {
		deadlines, pages := map[time.Time]bool{}, 0
		f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
			at, _ := ctx.Deadline()
			deadlines[at] = true
			if pages++; pages == 3 {
				return &protocol.Reply{}
			}
			id := fmt.Sprint(pages)
			return &protocol.Reply{Entries: []protocol.Entry{{ID: id}}, Next: id}
		}
		if got := p.ask(c); !strings.HasPrefix(got, "*2\r\n") || len(deadlines) != 1 {
			t.Errorf("%s: %d deadlines for %d pages, got %q", c, len(deadlines), pages, got)
		}
	}
}

// Whatever the error is, its index counts the commands of the client.
func TestServer_indexOfOtherErrors(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{})
	for index, want := range map[string]string{
		"0": "-CORRUPT damaged\r\n", "1": "-CORRUPT index=0 damaged\r\n", "2": "-CORRUPT index=0 damaged\r\n",
		"3": "-CORRUPT index=1 damaged\r\n",
	} {
		f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
			if len(r.Op().Ops()) < 4 {
				return nil
			}
			return &protocol.Reply{Err: protocol.Errorf(protocol.CodeCorrupt, "damaged").With(protocol.FactIndex, index)}
		}
		p := connect(t, addr)
		if got := p.ask("WATCH a\r\nMULTI\r\nMSET b 1 c 2\r\nGET d\r\nEXEC"); !strings.HasSuffix(got, "+QUEUED\r\n"+want) {
			t.Errorf("%s: got %q, want %q", index, got, want)
		}
		p.Close()
	}
}

func TestServer_neverReads(t *testing.T) {
	f := protocoltest.New()
	f.Put("a", `"`+strings.Repeat("x", 1<<20)+`"`)
	_, addr := serve(t, f, resp.Options{RequestTimeout: 100 * time.Millisecond})
	p := connect(t, addr)
	// The write fails once the server has given up.
	for {
		if _, err := p.Write([]byte(strings.Repeat("GET a\r\n", 100))); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the connection is still open")
			}
			return
		}
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
