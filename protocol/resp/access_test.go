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
	noAuth    = "-NOAUTH Authentication required.\r\n"
	wrongPass = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
)

// secret is the token of a role's name.
func secret(name string) string { return name + "-0123456789abcdef" }

func token(name string, role auth.Role) auth.Token {
	return auth.Token{Name: name, Secret: secret(name), Role: role}
}

// keyring has a token for each role: reader, writer, admin.
func keyring(tb testing.TB) *auth.Keyring {
	tb.Helper()
	k, err := auth.New(token("reader", auth.RoleRead), token("writer", auth.RoleWrite), token("admin", auth.RoleAdmin))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// login gives a connection that has presented the token of this name; of none if it is empty.
func login(tb testing.TB, addr, name string) *peer {
	tb.Helper()
	p := connect(tb, addr)
	if name == "" {
		return p
	}
	p.send(bulks("AUTH", name, secret(name)))
	if got := p.until("\r\n"); got != "+OK\r\n" {
		tb.Fatalf("AUTH %s: %q", name, got)
	}
	return p
}

// needed is who may run what: every command and subcommand there is.
var needed = map[string]auth.Role{
	"auth": auth.RoleNone, "hello": auth.RoleNone, "quit": auth.RoleNone, "reset": auth.RoleNone,

	"ping": auth.RoleRead, "echo": auth.RoleRead, "select": auth.RoleRead, "time": auth.RoleRead, "info": auth.RoleRead,
	"command": auth.RoleRead, "command|count": auth.RoleRead, "command|docs": auth.RoleRead, "command|getkeys": auth.RoleRead,
	"command|info": auth.RoleRead, "command|list": auth.RoleRead, "command|help": auth.RoleRead,
	"config": auth.RoleRead, "config|get": auth.RoleRead, "config|help": auth.RoleRead,
	"client": auth.RoleRead, "client|id": auth.RoleRead, "client|info": auth.RoleRead, "client|getname": auth.RoleRead,
	"client|setname": auth.RoleRead, "client|setinfo": auth.RoleRead, "client|no-evict": auth.RoleRead,
	"client|no-touch": auth.RoleRead, "client|help": auth.RoleRead,
	"multi": auth.RoleRead, "exec": auth.RoleRead, "discard": auth.RoleRead, "watch": auth.RoleRead, "unwatch": auth.RoleRead,
	"get": auth.RoleRead, "mget": auth.RoleRead, "exists": auth.RoleRead, "strlen": auth.RoleRead, "type": auth.RoleRead,
	"keys": auth.RoleRead, "scan": auth.RoleRead, "dbsize": auth.RoleRead,
	"state.load": auth.RoleRead, "state.stat": auth.RoleRead, "state.check": auth.RoleRead, "state.list": auth.RoleRead,
	"state.count": auth.RoleRead,

	"set": auth.RoleWrite, "getset": auth.RoleWrite, "setnx": auth.RoleWrite, "mset": auth.RoleWrite, "del": auth.RoleWrite,
	"unlink": auth.RoleWrite, "state.save": auth.RoleWrite, "state.delete": auth.RoleWrite,

	"flushdb": auth.RoleAdmin, "flushall": auth.RoleAdmin, "state.clear": auth.RoleAdmin, "client|list": auth.RoleAdmin,
}

func TestRoles(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
	found := map[string]bool{}
	for _, c := range resp.Commands() {
		found[c.Name] = true
		role, ok := needed[c.Name]
		if !ok || role != c.Role || c.NoAuth != (role == auth.RoleNone) {
			t.Errorf("%s needs %v and works before authentication: %v; want %v", c.Name, c.Role, c.NoAuth, role)
		}
		words := strings.Split(c.Name, "|")
		for len(words) < max(c.Arity, -c.Arity) {
			words = append(words, "1")
		}
		for i, name := range []string{"", "reader", "writer", "admin"} {
			p := login(t, addr, name)
			p.send(bulks(words...))
			got, want := p.until("\r\n"), ""
			switch {
			case auth.Role(i) >= role: // allowed: any other answer
			case name == "":
				want = noAuth
			default:
				want = fmt.Sprintf("-NOPERM User %s has no permissions to run the '%s' command\r\n", name, c.Name)
			}
			if allowed := got != noAuth && !strings.HasPrefix(got, "-NOPERM "); want == "" && !allowed || want != "" && got != want {
				t.Errorf("%s as %q: got %q, want %q", c.Name, name, got, want)
			}
			p.Close()
		}
	}
	for name := range needed {
		if !found[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

// What a command does is checked too: a mistake in the table gives nothing away.
func TestRoles_lastDefense(t *testing.T) {
	f := protocoltest.New()
	f.Put("a", "1")
	s, addr := serve(t, f, resp.Options{Tokens: keyring(t)})
	for _, c := range resp.Commands() {
		if c.Role > auth.RoleRead && !strings.Contains(c.Name, "|") {
			s.Underrate(c.Name)
		}
	}
	f.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
		if op := r.Op(); op.Writes() {
			t.Errorf("the handler was asked to %v", op.Kind())
		}
		return nil
	}
	for _, command := range []string{
		"SET a 2", "SET a 2 GET", "GETSET a 2", "SETNX b 2", "MSET a 2 b 2", "DEL a", "UNLINK a b", "STATE.SAVE a 2", "STATE.DELETE a",
		"FLUSHALL", "FLUSHDB", "STATE.CLEAR",
	} {
		if got := login(t, addr, "reader").ask(command); !strings.HasPrefix(got, "-NOPERM ") {
			t.Errorf("%s: got %q", command, got)
		}
	}
	if got := login(t, addr, "reader").ask("MULTI\r\nGET a\r\nSET a 2\r\nEXEC"); got != "+OK\r\n+QUEUED\r\n+QUEUED\r\n-NOPERM User reader has no permissions to run the 'txn' command\r\n" {
		t.Errorf("EXEC: got %q", got)
	}
	for _, command := range []string{"FLUSHALL", "STATE.CLEAR"} {
		if got := login(t, addr, "writer").ask(command); !strings.HasPrefix(got, "-NOPERM ") {
			t.Errorf("%s as writer: got %q", command, got)
		}
	}
}

func TestRoles_multi(t *testing.T) {
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{Tokens: keyring(t)})
	const denied = "-NOPERM User reader has no permissions to run the 'set' command\r\n"
	if got := login(t, addr, "reader").ask("MULTI\r\nGET a\r\nSET a 1\r\nEXEC"); got != "+OK\r\n+QUEUED\r\n"+denied+
		"-EXECABORT Transaction discarded because of previous errors.\r\n" {
		t.Errorf("got %q", got)
	}
	if got := login(t, addr, "writer").ask("MULTI\r\nGET a\r\nSET a 1\r\nEXEC"); !strings.HasSuffix(got, "*2\r\n$-1\r\n+OK\r\n") {
		t.Errorf("writer: got %q", got)
	}
}

// A role that is lowered counts at once, also for what was queued before.
func TestRoles_lowered(t *testing.T) {
	f := protocoltest.New()
	tokens := keyring(t)
	_, addr := serve(t, f, resp.Options{Tokens: tokens})
	p := login(t, addr, "writer")
	p.send("MULTI\r\nGET a\r\nSET a 1\r\n")
	p.until("+QUEUED\r\n+QUEUED\r\n")
	if err := tokens.Replace(token("writer", auth.RoleRead)); err != nil {
		t.Fatal(err)
	}
	const denied = "-NOPERM User writer has no permissions to run the 'set' command\r\n"
	if got := p.ask("EXEC\r\nEXEC\r\nSET a 1\r\nGET a"); got != denied+"-ERR EXEC without MULTI\r\n"+denied+"$-1\r\n" {
		t.Errorf("got %q", got)
	}
	p.send("MULTI\r\nSET a 1\r\n")
	p.until(denied)
	if err := tokens.Replace(token("writer", auth.RoleWrite)); err != nil {
		t.Fatal(err)
	}
	if got := p.ask("SET a 1\r\nEXEC\r\nSET a 1"); got != "+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n+OK\r\n" {
		t.Errorf("raised again: got %q", got)
	}
}

// With a token goes what its clients had begun.
func TestRoles_removed(t *testing.T) {
	f := protocoltest.New()
	tokens := keyring(t)
	_, addr := serve(t, f, resp.Options{Tokens: tokens})
	p := login(t, addr, "writer")
	p.send("WATCH a\r\nMULTI\r\nSET a 1\r\n")
	p.until("+OK\r\n+OK\r\n+QUEUED\r\n")
	if err := tokens.Replace(token("admin", auth.RoleAdmin)); err != nil {
		t.Fatal(err)
	}
	p.send("EXEC\r\nGET a\r\nAUTH " + secret("writer") + "\r\n")
	p.until(noAuth + noAuth + wrongPass)
	p.send("AUTH " + secret("admin") + "\r\n")
	p.until("+OK\r\n")
	if got := p.ask("EXEC\r\nCLIENT INFO"); !strings.HasPrefix(got, "-ERR EXEC without MULTI\r\n") ||
		!strings.Contains(got, " multi=-1 watch=0 ") || !strings.Contains(got, " user=admin ") {
		t.Errorf("got %q", got)
	}
	if f.Len() != 0 {
		t.Error("the transaction was performed")
	}
}

// Tokens may come and go while clients are connected.
func TestRoles_firstToken(t *testing.T) {
	tokens := &auth.Keyring{}
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: tokens})
	p := connect(t, addr)
	if got := p.ask("FLUSHALL\r\nCLIENT LIST"); !strings.HasPrefix(got, "+OK\r\n") || !strings.Contains(got, " user=default ") {
		t.Errorf("without tokens: got %q", got)
	}
	if err := tokens.Replace(token("reader", auth.RoleRead)); err != nil {
		t.Fatal(err)
	}
	p.send("PING\r\n")
	p.until(noAuth)
	if err := tokens.Replace(); err != nil {
		t.Fatal(err)
	}
	if got := p.ask("PING"); got != "+PONG\r\n" {
		t.Errorf("without tokens again: got %q", got)
	}
}
