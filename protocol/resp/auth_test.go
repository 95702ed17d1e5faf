package resp_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

const helloNoAuth = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> " +
	"option can be used to authenticate the client and select the RESP protocol version at the same time\r\n"

// After each dialog the connection's role is what PING and SET say.
func TestAuth(t *testing.T) {
	r, w := secret("reader"), secret("writer")
	const (
		nobody   = noAuth + noAuth
		isReader = "+PONG\r\n-NOPERM User reader has no permissions to run the 'set' command\r\n"
		isWriter = "+PONG\r\n+OK\r\n"
		syntax   = "-ERR syntax error\r\n"
	)
	for dialog, want := range map[string]string{
		"":                                      nobody,
		"AUTH " + r:                             "+OK\r\n" + isReader,
		"AUTH default " + r:                     "+OK\r\n" + isReader,
		"AUTH reader " + r:                      "+OK\r\n" + isReader,
		"AUTH writer " + r:                      wrongPass + nobody,
		"AUTH nobody " + r:                      wrongPass + nobody,
		`AUTH "" ` + r:                          wrongPass + nobody,
		`AUTH ""`:                               wrongPass + nobody,
		"AUTH " + r[1:]:                         wrongPass + nobody,
		"AUTH a b c":                            syntax + nobody,
		"AUTH":                                  "-ERR wrong number of arguments for 'auth' command\r\n" + nobody,
		"AUTH " + r + ";AUTH " + w:              "+OK\r\n+OK\r\n" + isWriter,
		"AUTH " + w + ";AUTH wrong":             "+OK\r\n" + wrongPass + isWriter, // as in Redis, it stays what it was
		"AUTH " + w + ";HELLO 2 AUTH x y":       "+OK\r\n" + wrongPass + isWriter,
		"AUTH " + w + ";RESET":                  "+OK\r\n+RESET\r\n" + nobody,
		"HELLO":                                 helloNoAuth + nobody,
		"HELLO 3":                               helloNoAuth + nobody,
		"HELLO 2 SETNAME x":                     helloNoAuth + nobody,
		"HELLO 4":                               "-NOPROTO unsupported protocol version\r\n" + nobody,
		"HELLO 3 AUTH default wrong":            wrongPass + nobody,
		"HELLO 3 AUTH default " + r + " " + w:   "-ERR Syntax error in HELLO option\r\n" + nobody,
		"HELLO 3 " + r:                          "-ERR Syntax error in HELLO option\r\n" + nobody,
		"AUHT " + r:                             noAuth + nobody, // a mistyped secret is not repeated
		"GET":                                   noAuth + nobody,
		"CLIENT NOTHING":                        noAuth + nobody,
		"MULTI":                                 noAuth + nobody,
		"AUTH " + r + ";MULTI;AUTH " + w:        "+OK\r\n+OK\r\n-ERR Command not allowed inside a transaction\r\n",
		"HELLO 3 AUTH reader " + r + " SETNAME": "-ERR Syntax error in HELLO option\r\n" + nobody,
	} {
		t.Run(dialog, func(t *testing.T) {
			_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
			p := connect(t, addr)
			p.send(strings.ReplaceAll(dialog, ";", "\r\n") + "\r\nPING\r\nSET a 1\r\n")
			got := make([]byte, len(want))
			if _, err := io.ReadFull(p.r, got); err != nil || string(got) != want {
				t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
			}
		})
	}
}

func TestAuth_hello(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t)})
	p := connect(t, addr)
	p.send("HELLO 3 AUTH default wrong SETNAME me\r\n")
	p.until(wrongPass)
	if got := p.ask("HELLO 3 AUTH default " + secret("admin") + " SETNAME me"); !strings.HasPrefix(got, "%7\r\n") {
		t.Errorf("got %q", got)
	}
	if got := p.ask("CLIENT LIST\r\nHELLO"); !strings.Contains(got, " name=me ") || !strings.Contains(got, " user=admin ") || !strings.Contains(got, "%7\r\n") {
		t.Errorf("got %q", got)
	}
	p.send("RESET\r\nAUTH " + secret("admin") + "\r\n")
	p.until("+RESET\r\n+OK\r\n")
	if got := p.ask("CLIENT INFO"); !strings.Contains(got, " name= ") || !strings.Contains(got, " resp=2 ") || !strings.Contains(got, " user=admin ") {
		t.Errorf("got %q", got)
	}
}

// Who tries often does not fill the log; and nothing that was presented is ever in it, nor in what others may see.
func TestAuth_failuresAreLogged(t *testing.T) {
	var log lockedBuffer
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t), Logger: zerolog.New(&log)})
	p := connect(t, addr)
	const wrong = "wrong-0123456789abcdef"
	p.send(strings.Repeat(bulks("AUTH", "reader", wrong), 500))
	p.until(strings.Repeat(wrongPass, 500))
	if n := strings.Count(log.String(), "authentication failed"); n < 1 || n > 20 {
		t.Errorf("%d lines for 500 failures", n)
	}
	for _, part := range []string{`"level":"warn"`, `"client":1`, `"addr":"` + p.LocalAddr().String() + `"`, `"user":"reader"`, `"not_logged":0`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log has no %s: %s", part, log.String())
		}
	}
	admin := login(t, addr, "admin")
	seen := admin.ask("INFO stats\r\nCLIENT LIST") + log.String()
	if !strings.Contains(seen, "acl_access_denied_auth:500\r\n") || !strings.Contains(seen, " cmd=auth ") {
		t.Errorf("got %s", seen)
	}
	if strings.Contains(seen, wrong) || strings.Contains(seen, secret("admin")) {
		t.Errorf("a secret is shown: %s", seen)
	}
}

// Somebody may mix up name and secret.
func TestAuth_secretAsName(t *testing.T) {
	var log lockedBuffer
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: keyring(t), Logger: zerolog.New(&log)})
	p := connect(t, addr)
	p.send(bulks("AUTH", secret("writer"), "writer"))
	p.until(wrongPass)
	if got := log.String(); strings.Contains(got, secret("writer")) || !strings.Contains(got, `"user":"(unknown)"`) {
		t.Errorf("the log: %s", got)
	}
}

// What the server answers itself is told to Refused, and nothing else is.
func TestServer_Refused(t *testing.T) {
	codes := make(chan protocol.Code, 100)
	f := protocoltest.New()
	f.Put("a", "1")
	s, addr := serve(t, f, resp.Options{Tokens: keyring(t), StateBytes: 100, Refused: func(c protocol.Code) { codes <- c }})
	for dialog, want := range map[string][]protocol.Code{
		"AUTH x;PING":                           {protocol.CodeUnauthenticated, protocol.CodeUnauthenticated},
		"HELLO 3":                               {protocol.CodeUnauthenticated},
		"reader;PING;GET a;GET none;STATE.LIST": nil,
		"reader;SET a 1":                        {protocol.CodeForbidden},
		"writer;STATE.SAVE a 1 IFABSENT;SET a 1 NX": nil, // the handler's conflict
		"reader;nothing;GET;GET \"\"":               {protocol.CodeInvalid, protocol.CodeInvalid, protocol.CodeInvalid},
		"writer;SET a bad;MULTI;PING;EXEC":          {protocol.CodeInvalid, protocol.CodeInvalid, protocol.CodeInvalid},
		"writer;SET a " + strings.Repeat("1", 101):  {protocol.CodeInvalid},
		"reader;KEYS " + strings.Repeat("x", 5000):  {protocol.CodeInvalid},
		"reader;SCAN x;SCAN 0 COUNT 0;STATE.LIST LIMIT 0;CLIENT NOTHING;SELECT 1;CONFIG SET a b;WATCH \"\"": {
			protocol.CodeInvalid, protocol.CodeInvalid, protocol.CodeInvalid, protocol.CodeInvalid, protocol.CodeInvalid,
			protocol.CodeInvalid, protocol.CodeInvalid,
		},
	} {
		name, commands, _ := strings.Cut(dialog, ";")
		var p *peer
		if _, ok := map[string]bool{"reader": true, "writer": true}[name]; ok {
			p = login(t, addr, name)
		} else {
			p, commands = connect(t, addr), dialog
		}
		p.send(strings.ReplaceAll(commands, ";", "\r\n") + "\r\nQUIT\r\n")
		p.rest()
		for i, code := range want {
			if got := receive(t, codes); got != code {
				t.Errorf("%.60s: error %d is %s, want %s", dialog, i, got, code)
			}
		}
		select {
		case got := <-codes:
			t.Errorf("%.60s: one more: %s", dialog, got)
		default:
		}
	}
	eventually(t, "nobody is connected", func() bool { return s.Connections() == 0 })
	connect(t, addr)
	eventually(t, "one is connected", func() bool { return s.Connections() == 1 })
}

// A client that does not authenticate does not keep its place, whatever it sends. One that did may be idle.
func TestAuth_late(t *testing.T) {
	const late = "-NOAUTH Authentication required: the client did not authenticate in time, closing\r\n"
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		tokens := keyring(t)
		serveOn(t, l, protocoltest.New(), resp.Options{Tokens: tokens, RequestTimeout: 10 * time.Second})
		start := time.Now()
		closedAfter := func(what string, p *peer, want time.Duration, said string) {
			t.Helper()
			if got := p.rest(); got != said || time.Since(start) != want {
				t.Errorf("%s: closed after %v with %q", what, time.Since(start), got)
			}
		}
		known := newPeer(t, l.dial())
		known.send(bulks("AUTH", secret("reader")))
		known.until("+OK\r\n")
		closedAfter("idle", newPeer(t, l.dial()), 10*time.Second, late)

		start = time.Now()
		busy := newPeer(t, l.dial())
		for range 9 {
			time.Sleep(time.Second)
			busy.send("PING\r\n")
			busy.until(noAuth)
		}
		busy.send("*1\r\n$4\r\nPI") // nor does half a command give it more time
		closedAfter("busy", busy, 10*time.Second, late)

		if err := known.SetDeadline(time.Now().Add(guard)); err != nil {
			t.Fatal(err)
		}
		if got := known.ask("PING"); got != "+PONG\r\n" {
			t.Errorf("authenticated: got %q", got)
		}
		start = time.Now()
		known.send("RESET\r\n")
		known.until("+RESET\r\n")
		closedAfter("after RESET", known, 10*time.Second, late)

		if err := tokens.Replace(); err != nil {
			t.Fatal(err)
		}
		free := newPeer(t, l.dial())
		time.Sleep(20 * time.Second)
		if got := free.ask("PING"); got != "+PONG\r\n" {
			t.Errorf("without tokens: got %q", got)
		}
	})
}
