package resp

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/stated/stated/protocol/auth"
)

func authCommands() []spec {
	const family = "connection"
	return []spec{
		{
			name: "auth", arity: -2, flags: flagFast | flagNoAuth | flagGate, family: family, handle: authenticate,
			args: "[username] token", summary: "Authenticates the connection.",
			reply: "OK", errors: "WRONGPASS",
		},
		{
			name: "hello", arity: -1, flags: flagFast | flagNoAuth | flagGate, family: family, handle: hello,
			args: "[protover [AUTH username token] [SETNAME clientname]]", summary: "Chooses the protocol, 2 or 3, and authenticates.",
			reply: "a map that describes the server and the connection", errors: "NOPROTO, NOAUTH, WRONGPASS",
		},
	}
}

const (
	errWrongPass = redisError("WRONGPASS invalid username-password pair or user is disabled.")
	errNoTokens  = redisError("ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?")
	errHelloNoAuth = redisError("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> " +
		"AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
)

// authenticate performs AUTH. One that fails leaves the client what it was, as in Redis.
func authenticate(x *executor, args [][]byte) {
	name, secret := auth.DefaultName, args[len(args)-1]
	switch {
	case len(args) > 3:
		x.reject(errSyntax)
		return
	case len(args) == 3:
		name = string(args[1])
	case !x.c.srv.opts.Tokens.Required():
		x.reject(errNoTokens)
		return
	}
	g, err := x.check(name, secret)
	if err != nil {
		x.reject(err)
		return
	}
	x.become(g)
	x.out.ok()
}

// check gives what a client may do that presents these. Without tokens there is one user, who needs no password.
func (x *executor) check(name string, secret []byte) (auth.Grant, error) {
	tokens := x.c.srv.opts.Tokens
	if !tokens.Required() && name == auth.DefaultName {
		return tokens.Anonymous(), nil
	}
	if name != "" { // the keyring would take that for any name
		if g, ok := tokens.Check(name, string(secret)); ok {
			return g, nil
		}
	}
	x.c.srv.noteFailedAuth(x.c, name)
	return auth.Grant{}, errWrongPass
}

// greeting is what HELLO asks for.
type greeting struct {
	proto      int
	name       string
	user       string
	secret     []byte
	hasAccount bool
}

// hello changes nothing unless all of its arguments are right.
func hello(x *executor, args [][]byte) {
	g, err := x.parseHello(args[1:])
	grant := x.grant
	switch {
	case err != nil:
	case g.hasAccount:
		grant, err = x.check(g.user, g.secret)
	case grant.Role == auth.RoleNone:
		err = errHelloNoAuth
	}
	if err != nil {
		x.reject(err)
		return
	}
	if g.hasAccount {
		x.become(grant)
	}
	x.setProto(g.proto)
	if g.name != "" {
		x.c.about.update(func(a *about) { a.name = g.name })
	}
	x.sayHello()
}

func (x *executor) parseHello(words [][]byte) (greeting, error) {
	g := greeting{proto: x.out.proto}
	if len(words) == 0 {
		return g, nil
	}
	n, err := strconv.ParseInt(string(words[0]), 10, 64)
	switch {
	case err != nil:
		return g, redisError("ERR Protocol version is not an integer or out of range")
	case n != 2 && n != 3:
		return g, redisError("NOPROTO unsupported protocol version")
	}
	g.proto = int(n)
	for words = words[1:]; len(words) > 0; {
		switch {
		case is(words[0], "AUTH") && len(words) > 2:
			g.user, g.secret, g.hasAccount = string(words[1]), words[2], true
			words = words[3:]
		case is(words[0], "SETNAME") && len(words) > 1:
			g.name = string(words[1])
			if err := checkClientName(g.name); err != nil {
				return g, err
			}
			words = words[2:]
		case x.grant.Role == auth.RoleNone: // the word may be a token in the wrong place
			return g, redisError("ERR Syntax error in HELLO option")
		default:
			return g, redisError(fmt.Sprintf("ERR Syntax error in HELLO option '%.64s'", words[0]))
		}
	}
	return g, nil
}

func (x *executor) sayHello() {
	o := x.out
	o.mapOf(7)
	for _, pair := range [][2]string{{"server", "stated"}, {"version", x.c.srv.opts.Version}} {
		o.bulkString(pair[0])
		o.bulkString(pair[1])
	}
	o.bulkString("proto")
	o.int(int64(o.proto))
	o.bulkString("id")
	o.int(x.c.id)
	for _, pair := range [][2]string{{"mode", "standalone"}, {"role", "master"}} {
		o.bulkString(pair[0])
		o.bulkString(pair[1])
	}
	o.bulkString("modules")
	o.array(0)
}

// failedAuths counts failed attempts to authenticate, and says when to log one: a client could fill the disk with them.
type failedAuths struct {
	mu     sync.Mutex
	total  int64
	logged time.Time
	silent int // attempts since then
}

const failedAuthPause = time.Second

// add counts one more. It reports whether to log it, and how many were not logged before.
func (f *failedAuths) add(now time.Time) (silent int, log bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total++
	if now.Sub(f.logged) < failedAuthPause {
		f.silent++
		return 0, false
	}
	silent, f.silent, f.logged = f.silent, 0, now
	return silent, true
}

func (f *failedAuths) count() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
}

// noteFailedAuth logs a failed attempt to authenticate. What is no token's name is not logged: somebody may have
// mixed up the two words, and the name is the secret.
func (s *Server) noteFailedAuth(c *conn, name string) {
	silent, log := s.failed.add(time.Now())
	if !log {
		return
	}
	if name != auth.DefaultName && !s.opts.Tokens.Knows(name) {
		name = "(unknown)"
	}
	s.opts.Logger.Warn().Int64("client", c.id).Stringer("addr", c.nc.RemoteAddr()).Str("user", name).
		Int("not_logged", silent).Msg("authentication failed")
}
