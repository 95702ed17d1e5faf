package resp_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

// Every code that there is, as it looks on the wire, alone and as the reply of EXEC, and what the client makes of it.
func TestErrors(t *testing.T) {
	told := func(code protocol.Code, facts ...string) *protocol.Error {
		e := protocol.Errorf(code, "what happened")
		for i := 0; i < len(facts); i += 2 {
			e = e.With(facts[i], facts[i+1])
		}
		return e
	}
	secretCause := errors.New("secret")
	rows := []struct {
		err  error
		wire string
		code protocol.Code // what the client sees
	}{
		{told(protocol.CodeConflict, protocol.FactCurrentRevision, "17", protocol.FactIndex, "0"), "-CONFLICT current_revision=17 index=0 what happened", protocol.CodeConflict},
		{told(protocol.CodeInvalid, protocol.FactOffset, "5"), "-INVALID offset=5 what happened", protocol.CodeInvalid},
		{told(protocol.CodeInvalid, protocol.FactTooLarge, "1"), "-INVALID too_large=1 what happened", protocol.CodeInvalid},
		{told(protocol.CodeUnauthenticated), "-NOAUTH what happened", protocol.CodeUnauthenticated},
		{told(protocol.CodeForbidden), "-NOPERM what happened", protocol.CodeForbidden},
		{told(protocol.CodeOverloaded), "-OVERLOADED what happened", protocol.CodeOverloaded},
		{told(protocol.CodeLocked, protocol.FactAttempts, "6", protocol.FactElapsed, "4.2s"), "-LOCKED attempts=6 elapsed=4.2s what happened", protocol.CodeLocked},
		{told(protocol.CodeCanceled), "-CANCELED what happened", protocol.CodeCanceled},
		{context.Canceled, "-CANCELED the caller gave up", protocol.CodeCanceled},
		{told(protocol.CodeUnknown), "-UNKNOWN what happened", protocol.CodeUnknown},
		{told(protocol.CodeUnavailable, protocol.FactOwner, "7"), "-UNAVAILABLE owner_pid=7 what happened", protocol.CodeUnavailable},
		{told(protocol.CodeFull), "-FULL what happened", protocol.CodeFull},
		{told(protocol.CodeIO), "-IO what happened", protocol.CodeIO},
		{told(protocol.CodeCorrupt), "-CORRUPT what happened", protocol.CodeCorrupt},
		{told(protocol.CodeReadOnly), "-READONLY what happened", protocol.CodeReadOnly},
		{told(protocol.CodeInternal).Because(secretCause), "-INTERNAL what happened", protocol.CodeInternal},
		{secretCause, "-INTERNAL internal error, see the log", protocol.CodeInternal},
		{protocol.Errorf(protocol.CodeIO, "line\nbreak\r\n+OK"), "-IO line break +OK", protocol.CodeIO},
	}
	missing := map[protocol.Code]bool{}
	for _, code := range protocol.Codes() {
		missing[code] = code != protocol.CodeNotFound // it is nil on the wire, see below
	}
	f := protocoltest.New()
	_, addr := serve(t, f, resp.Options{})
	p, c := connect(t, addr), dial(t, addr, resp.ClientOptions{})
	for _, row := range rows {
		missing[row.code] = false
		f.Before = func(context.Context, *protocol.Request) *protocol.Reply { return &protocol.Reply{Err: row.err} }
		for _, command := range []string{"GET a", "SET a 1", "STATE.SAVE a 1", "DEL a b", "MGET a b", "KEYS *", "WATCH a", "SCAN 0", "DBSIZE"} {
			if got := p.ask(command); got != row.wire+"\r\n" {
				t.Errorf("%s: got %q, want %q", command, got, row.wire)
			}
		}
		if got := p.ask("MULTI\r\nGET a\r\nSET a 1\r\nEXEC"); got != "+OK\r\n+QUEUED\r\n+QUEUED\r\n"+row.wire+"\r\n" {
			t.Errorf("EXEC: got %q, want %q", got, row.wire)
		}
		_, err := c.Save(t.Context(), "a", []byte("1"))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != row.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("the client got %v, want %s", err, row.code)
			continue
		}
		if diff := cmp.Diff(protocol.AsError(row.err).Facts, e.Facts); diff != "" {
			t.Errorf("%s: facts (-sent +got)\n%s", row.code, diff)
		}
	}
	for code, is := range missing {
		if is {
			t.Errorf("there is no row for %s", code)
		}
	}
	f.Before = nil
	if got := p.ask("GET none\r\nSTATE.LOAD none\r\nSTATE.STAT none"); got != "$-1\r\n*-1\r\n*-1\r\n" { // NOT_FOUND
		t.Errorf("not found: got %q", got)
	}
	if _, err := c.Load(t.Context(), "none"); !errors.Is(err, protocol.CodeNotFound) {
		t.Errorf("not found: the client got %v", err)
	}
}
