package resp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

const (
	strangerArgs = "-ERR Protocol error: unauthenticated multibulk length\r\n"
	strangerBulk = "-ERR Protocol error: unauthenticated bulk length\r\n"
)

// What a client may send depends on what it is when that is parsed, also in the middle of a pipeline.
func TestStranger_limits(t *testing.T) {
	var (
		large   = bulks("SET", "a", `"`+strings.Repeat("x", 100_000)+`"`)
		many    = bulks(append([]string{"EXISTS"}, strings.Split(strings.Repeat("a", 100), "")...)...)
		in      = bulks("AUTH", secret("writer"))
		wrong   = bulks("AUTH", "wrong")
		hello   = bulks("HELLO", "2", "AUTH", "writer", secret("writer"), "SETNAME", "me")
		reset   = bulks("RESET")
		nine    = strings.Fields("PING 1 2 3 4 5 6 7 8 9")
		quarter = strings.Repeat("x", 4_000)
	)
	const ok = "+OK\r\n"
	for name, c := range map[string]struct{ input, want string }{
		"ten words":               {bulks(nine...) + "QUIT\r\n", noAuth + ok},
		"eleven words":            {"*11\r\n", strangerArgs},
		"very many words":         {"*1000000000\r\n", strangerArgs},
		"ten words inline":        {strings.Join(nine, " ") + "\r\nQUIT\r\n", noAuth + ok},
		"eleven words inline":     {strings.Join(nine, " ") + " 10\r\n", strangerArgs},
		"a long line":             {strings.Repeat("x", 17<<10) + "\r\n", "-ERR Protocol error: too big inline request\r\n"},
		"a large word":            {"*2\r\n$4\r\nPING\r\n$16385\r\n", strangerBulk},
		"10 GB":                   {"*2\r\n$4\r\nAUTH\r\n$10000000000\r\n", strangerBulk},
		"a negative length":       {"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length -5, one command has at most 16384 bytes\r\n"},
		"many words, large":       {bulks("PING", quarter, quarter, quarter, quarter, quarter), strangerBulk},
		"AUTH, large":             {in + large + "QUIT\r\n", ok + ok + ok},
		"AUTH, many":              {in + many + "QUIT\r\n", ok + ":0\r\n" + ok},
		"wrong AUTH, large":       {wrong + large, wrongPass + strangerBulk},
		"HELLO, large":            {"HELLO 2 AUTH default wrong\r\n" + wrong + bulks("HELLO") + large, wrongPass + wrongPass + helloNoAuth + strangerBulk},
		"AUTH, large, RESET":      {in + large + reset + large, ok + ok + "+RESET\r\n" + strangerBulk},
		"AUTH, RESET, AUTH":       {in + reset + many, ok + "+RESET\r\n" + strangerArgs},
		"AUTH, RESET, AUTH, many": {in + reset + in + many + "QUIT\r\n", ok + "+RESET\r\n" + ok + ":0\r\n" + ok},
		"AUTH and HELLO, large":   {in + hello[:0] + "MULTI\r\n" + large + "EXEC\r\nQUIT\r\n", ok + ok + "+QUEUED\r\n*1\r\n+OK\r\n" + ok},
		"AUTH in MULTI, large":    {in + "MULTI\r\n" + in + large + "DISCARD\r\nQUIT\r\n", ok + ok + "-ERR Command not allowed inside a transaction\r\n+QUEUED\r\n" + ok + ok},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
			p := connect(t, addr)
			go func() { _, _ = p.Write([]byte(c.input)) }() // the server may end it half-way
			if got := p.rest(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	t.Run("HELLO AUTH, large", func(t *testing.T) {
		_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
		p := connect(t, addr)
		p.send(hello + large + "QUIT\r\n")
		if got := p.rest(); !strings.HasPrefix(got, "*14\r\n") || !strings.HasSuffix(got, "*0\r\n"+ok+ok) {
			t.Errorf("got %q", got)
		}
	})
}

// With the token goes the right to send much.
func TestStranger_again(t *testing.T) {
	tokens := keyring(t)
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: tokens})
	p := login(t, addr, "writer")
	if err := tokens.Replace(token("reader", auth.RoleRead)); err != nil {
		t.Fatal(err)
	}
	p.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n")
	if got := p.rest(); got != strangerBulk {
		t.Errorf("got %q", got)
	}
}

// A gate that is never opened, since the connection ends before, holds nobody up.
func TestStranger_gate(t *testing.T) {
	gates := []string{bulks("AUTH", secret("writer")), "RESET\r\n", "HELLO\r\n"}
	t.Run("panic", func(t *testing.T) {
		for _, gate := range gates {
			f := protocoltest.New()
			f.Waits = func(context.Context, *protocol.Request) { panic("on purpose") }
			_, addr := serve(t, f, resp.Options{Tokens: keyring(t)})
			p := login(t, addr, "writer")
			p.send("SET a 1\r\n" + gate + "PING\r\n")
			if got := p.rest(); !strings.HasPrefix(got, "-UNKNOWN ") || strings.Count(got, "\r\n") != 1 {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("quit", func(t *testing.T) {
		for _, gate := range gates {
			_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
			p := login(t, addr, "writer")
			p.send("QUIT\r\n" + gate + "PING\r\n")
			if got := p.rest(); got != "+OK\r\n" {
				t.Errorf("got %q", got)
			}
		}
	})
	for name, end := range map[string]func(context.Context, *resp.Server, *peer) error{
		"shutdown": func(ctx context.Context, s *resp.Server, _ *peer) error { return s.Shutdown(ctx) },
		"gone": func(ctx context.Context, s *resp.Server, p *peer) error {
			_ = p.Close()
			return s.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, gate := range gates {
				f := protocoltest.New()
				started := make(chan struct{})
				f.Waits = func(ctx context.Context, _ *protocol.Request) {
					close(started)
					<-ctx.Done()
				}
				s, addr := serve(t, f, resp.Options{Tokens: keyring(t)})
				p := login(t, addr, "writer")
				p.send("SET a 1\r\n" + gate + "PING\r\n")
				receive(t, started)
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				done := make(chan error, 1)
				go func() { done <- end(ctx, s, p) }()
				receive(t, done)
			}
		})
	}
}

// Whoever sends very much before authenticating gets answers, and the others notice nothing.
func TestStranger_flood(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
	const n = 20_000
	got := make(chan string)
	for range 3 {
		p := connect(t, addr)
		go func() {
			_, _ = p.Write([]byte(strings.Repeat("GET a\r\nFLUSHALL\r\n", n/2) + "QUIT\r\n"))
		}()
		go func() { got <- p.rest() }()
	}
	w := login(t, addr, "writer")
	for i := range 100 {
		if reply := w.ask(fmt.Sprintf("SET a %d\r\nGET a", i)); reply != fmt.Sprintf("+OK\r\n$%d\r\n%d\r\n", len(fmt.Sprint(i)), i) {
			t.Fatalf("the other client: %q", reply)
		}
	}
	for range 3 {
		if all := receive(t, got); all != strings.Repeat(noAuth, n)+"+OK\r\n" {
			t.Errorf("%d bytes, ending in %.100q", len(all), all[max(0, len(all)-100):])
		}
	}
}
