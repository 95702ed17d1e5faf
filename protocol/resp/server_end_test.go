package resp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

// What was started and writes may be applied in spite of a panic.
func TestServer_panic(t *testing.T) {
	const (
		internal = "+OK\r\n-INTERNAL internal error, see the log\r\n"
		unknown  = "+OK\r\n-UNKNOWN internal error, see the log: it may or may not have been applied\r\n"
	)
	for commands, want := range map[string]string{
		"SET a 1\r\nGET panic\r\nSET a 2\r\n": internal, "SET a 1\r\nSET panic 1\r\nSET a 2\r\n": unknown,
	} {
		t.Run(commands, func(t *testing.T) {
			f := protocoltest.New()
			f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
				if r.Op().ID() == "panic" {
					panic("on purpose")
				}
				return nil
			}
			checkPanic(t, f, commands, want)
		})
	}
	for commands, want := range map[string]string{
		"SET a 1\r\nGET panic\r\nSET a 2\r\n":            internal,
		"SET a 1\r\nSET panic 1\r\nSET a 2\r\n":          unknown,
		"SET a 1\r\nSET panic 1\r\nGET a\r\n":            unknown,
		"SET a 1\r\nSET panic 1 GET\r\nSET a 2\r\n":      unknown,
		"SET a 1\r\nMGET panic a\r\nSET a 2\r\n":         internal,
		"SET a 1\r\nMSET panic 1 b 2\r\nSET panic 2\r\n": unknown,
	} {
		t.Run("wait, "+commands, func(t *testing.T) {
			f := protocoltest.New()
			f.Waits = func(_ context.Context, r *protocol.Request) {
				if ops := r.Op().Ops(); r.Op().ID() == "panic" || len(ops) > 0 && ops[0].ID() == "panic" {
					panic("on purpose")
				}
			}
			checkPanic(t, f, commands, want)
		})
	}
}

// A time that cannot be read is null.
func TestServer_noTime(t *testing.T) {
	f := protocoltest.New()
	f.Now = func() time.Time { return time.Time{} }
	_, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	if got := p.ask("STATE.SAVE a 1\r\nSTATE.LIST"); got != "*2\r\n:1\r\n$-1\r\n*1\r\n*4\r\n$1\r\na\r\n:1\r\n$-1\r\n:1\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestServer_requestTimeout(t *testing.T) {
	f := protocoltest.New()
	f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
		<-ctx.Done()
		return &protocol.Reply{Err: protocol.Errorf(protocol.CodeLocked, "to the deadline").Because(ctx.Err())}
	}
	_, addr := serve(t, f, resp.Options{RequestTimeout: 20 * time.Millisecond})
	if got := connect(t, addr).ask("SET a 1\r\nGET a"); got != "-LOCKED to the deadline\r\n-LOCKED to the deadline\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestServer_Shutdown(t *testing.T) {
	f := protocoltest.New()
	release, started := make(chan struct{}), make(chan struct{})
	f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		if r.Op().ID() == "slow" {
			close(started)
			<-release
		}
		return nil
	}
	s, addr := serve(t, f, resp.Options{})
	idle, busy := connect(t, addr), connect(t, addr)
	idle.ask("PING")
	busy.send("GET slow\r\nSET a 1\r\nGET a\r\n")
	receive(t, started)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	if got := idle.rest(); got != "" {
		t.Errorf("idle: %q", got)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("it still accepts")
	}
	close(release)
	if got := busy.rest(); got != "$-1\r\n+OK\r\n$1\r\n1\r\n" {
		t.Errorf("busy: %q", got)
	}
	if err := receive(t, done); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("a second Shutdown: %v", err)
	}
	if err := s.Serve(unixListener(t)); err != nil {
		t.Errorf("Serve afterwards: %v", err)
	}
}

func TestServer_ShutdownCuts(t *testing.T) {
	f := protocoltest.New()
	started := make(chan struct{})
	f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
		close(started)
		<-ctx.Done()
		return &protocol.Reply{Err: protocol.AsError(ctx.Err())}
	}
	s, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	p.send("GET a\r\n")
	receive(t, started)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	p.rest()
}

func TestServer_severalListeners(t *testing.T) {
	s, addr := serve(t, protocoltest.New(), resp.Options{})
	l := unixListener(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	nc, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	newPeer(t, nc).ask("SET a 1")
	if got := connect(t, addr).ask("GET a"); got != "$1\r\n1\r\n" {
		t.Errorf("got %q", got)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := receive(t, served); err != nil {
		t.Error(err)
	}
}

func checkPanic(t *testing.T, h protocol.Handler, commands, want string) {
	t.Helper()
	var log lockedBuffer
	_, addr := serve(t, h, resp.Options{Logger: zerolog.New(&log)})
	p := connect(t, addr)
	p.send(commands)
	if got := p.rest(); got != want {
		t.Errorf("got %q", got)
	}
	if got := log.String(); !strings.Contains(got, "on purpose") || !strings.Contains(got, "server_end_test.go") {
		t.Errorf("the log has no stack: %s", got)
	}
	if got := connect(t, addr).ask("PING"); got != "+PONG\r\n" {
		t.Errorf("afterwards: %q", got)
	}
}
