package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestTokens_Redis asks for some of everything with every kind of token.
func TestTokens_Redis(t *testing.T) {
	dir := t.TempDir()
	d := startSecured(t, dir, tokens(t, dir, "reader=read", "writer=write", "boss=admin"))
	commands := []struct {
		line  string
		least int // the index of the first client who may
	}{
		{"PING", 1}, {"GET a", 1}, {"STATE.LOAD a", 1}, {"STATE.LIST", 1}, {"DBSIZE", 1}, {"INFO", 1}, {"SCAN 0", 1}, {"WATCH a", 1},
		{"SET a 1", 2}, {"DEL a", 2}, {"STATE.SAVE a 1", 2}, {"STATE.DELETE a", 2}, {"MSET a 1 b 2", 2}, {"GETSET a 1", 2},
		{"CLIENT LIST", 3}, {"FLUSHDB", 3}, {"FLUSHALL", 3}, {"STATE.CLEAR", 3},
	}
	for i, name := range []string{"", "reader", "writer", "boss"} {
		c := dialRaw(t, d.Addr)
		if name != "" {
			wantError(t, c.do("AUTH", "no-such-token-at-all"), []string{"WRONGPASS"})
			wantError(t, c.do("AUTH", "somebody", secretOf(name)), []string{"WRONGPASS"})
			wantError(t, c.do("GET", "a"), []string{"NOAUTH"})
			wantReply(t, c.do("AUTH", name, secretOf(name)), "OK")
		}
		for _, command := range commands {
			refused, _ := c.do(strings.Fields(command.line)...).(replyError)
			code, _, _ := strings.Cut(string(refused), " ")
			want := ""
			switch {
			case i >= command.least:
			case i == 0:
				want = "NOAUTH"
			default:
				want = "NOPERM"
			}
			if code != want {
				t.Errorf("%q: %s: %q, want %q", name, command.line, refused, want)
			}
		}
	}
}

// TestReload_TokensRedis changes what connections may do that are open already, in the middle of a transaction too.
func TestReload_TokensRedis(t *testing.T) {
	dir := t.TempDir()
	d := startSecured(t, dir, tokens(t, dir, "one=write", "two=write"))
	one, two := d.signIn(t, secretOf("one")), d.signIn(t, secretOf("two"))
	for _, c := range []*rawConn{one, two} {
		wantReply(t, c.do("SET", "a", "1"), "OK")
		wantReply(t, c.do("MULTI"), "OK")
		wantReply(t, c.do("SET", "a", "2"), "QUEUED")
	}
	d.write(t, "stated.yaml", tokens(t, dir, "two=read", "three=write"))
	d.mustReload(t)
	wantError(t, one.do("EXEC"), []string{"NOAUTH"})
	wantError(t, one.do("GET", "a"), []string{"NOAUTH"})
	wantError(t, one.do("AUTH", secretOf("one")), []string{"WRONGPASS"})
	if refused, ok := two.do("EXEC").(replyError); !ok {
		t.Errorf("a reader has written: %v", refused)
	}
	wantReply(t, two.do("GET", "a"), "1")
	wantError(t, two.do("SET", "a", "2"), []string{"NOPERM"})
	wantReply(t, one.do("AUTH", secretOf("three")), "OK")
	wantReply(t, one.do("SET", "a", "3"), "OK")
	wantReply(t, d.signIn(t, secretOf("two")).do("GET", "a"), "3")
}

// TestClient_Secured uses the Go client of stated with TLS and a token.
func TestClient_Secured(t *testing.T) {
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	d := startSecured(t, dir, tokens(t, dir, "reader=read", "writer=write")+
		fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key))
	writer := d.Client(t, resp.ClientOptions{Token: secretOf("writer"), TLS: authority.Trust(), Connections: 2})
	if _, err := writer.Save(guarded(t), "a", []byte("1")); err != nil {
		t.Error(err)
	}
	reader := d.Client(t, resp.ClientOptions{Token: secretOf("reader"), TLS: authority.Trust()})
	if record, err := reader.Load(guarded(t), "a"); err != nil || string(record.State) != "1" {
		t.Errorf("the reader finds %v, %v", record, err)
	}
	if _, err := reader.Save(guarded(t), "a", []byte("2")); protocol.CodeOf(err) != protocol.CodeForbidden {
		t.Errorf("the reader's save: %v", err)
	}
	for name, o := range map[string]resp.ClientOptions{
		"no token":        {TLS: authority.Trust()},
		"a wrong token":   {TLS: authority.Trust(), Token: secretOf("nobody")},
		"no TLS":          {Token: secretOf("writer")},
		"another's trust": {Token: secretOf("writer"), TLS: harness.NewAuthority(t).Trust()},
	} {
		c, err := resp.Dial(guarded(t), d.Addr, o)
		if err == nil {
			_ = c.Close() // it always returns nil
		}
		want := protocol.CodeUnavailable
		if o.TLS != nil && strings.Contains(name, "token") {
			want = protocol.CodeUnauthenticated
		}
		if protocol.CodeOf(err) != want || strings.Contains(fmt.Sprint(err), "secret-of-") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	writeFile(t, filepath.Join(dir, "stated.yaml"), tokens(t, dir, "reader=read"))
	d.mustReload(t)
	if _, err := writer.Save(guarded(t), "a", []byte("2")); protocol.CodeOf(err) != protocol.CodeUnauthenticated {
		t.Errorf("without its token the writer's save: %v", err)
	}
	if record, err := reader.Load(guarded(t), "a"); err != nil || string(record.State) != "1" {
		t.Errorf("the reader finds %v, %v", record, err)
	}
}
