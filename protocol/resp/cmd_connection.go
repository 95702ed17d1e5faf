package resp

import (
	"fmt"
	"strconv"
	"strings"
)

func connectionCommands() []spec {
	const family = "connection"
	return []spec{
		{
			name: "ping", arity: -1, flags: flagFast | flagInstant, family: family, handle: ping,
			summary: "Answers PONG, or its argument.",
		},
		{
			name: "echo", arity: 2, flags: flagFast | flagInstant, family: family,
			handle:  func(x *executor, args [][]byte) { x.out.bulk(args[1]) },
			summary: "Answers its argument.",
		},
		{
			name: "quit", arity: -1, flags: flagFast | flagControl, family: family, handle: quit,
			summary: "Closes the connection.",
		},
		{
			name: "hello", arity: -1, flags: flagFast, family: family, handle: hello,
			summary: "Chooses the protocol: HELLO [2|3] [SETNAME name].",
		},
		{
			name: "select", arity: 2, flags: flagFast | flagInstant, family: family, handle: selectDB,
			summary: "Chooses the database; there is only 0.",
		},
		{
			name: "reset", arity: 1, flags: flagFast | flagControl, family: family, handle: reset,
			summary: "Makes the connection as new.",
		},
		{
			name: "client", arity: -2, flags: flagAdmin, family: family, handle: client,
			summary: "Tells about connections, and names this one.",
			help: []string{
				"ID: tells the id of this connection.",
				"INFO: tells about this connection.",
				"LIST [TYPE normal|ID id ...]: tells about connections.",
				"GETNAME: tells the name of this connection.",
				"SETNAME name: names this connection.",
				"SETINFO LIB-NAME|LIB-VER text: names the library of this connection.",
				"NO-EVICT on|off, NO-TOUCH on|off: do nothing, as nothing is ever evicted.",
			},
		},
	}
}

func ping(x *executor, args [][]byte) {
	switch len(args) {
	case 1:
		x.out.simple("PONG")
	case 2:
		x.out.bulk(args[1])
	default:
		x.out.fail(errArity("ping"))
	}
}

func quit(x *executor, _ [][]byte) {
	x.out.ok()
	x.ending = true
}

func selectDB(x *executor, args [][]byte) {
	switch n, err := strconv.ParseInt(string(args[1]), 10, 64); {
	case err != nil:
		x.out.fail(errNotInteger)
	case n != 0:
		x.out.fail(redisError("ERR DB index is out of range"))
	default:
		x.out.ok()
	}
}

func reset(x *executor, _ [][]byte) {
	x.leaveMulti()
	x.setProto(2)
	x.c.about.update(func(a *about) { a.name = "" })
	x.out.simple("RESET")
}

func (x *executor) setProto(n int) {
	x.out.proto = n
	x.c.about.update(func(a *about) { a.proto = n })
}

// hello changes nothing unless all of its arguments are right.
func hello(x *executor, args [][]byte) {
	proto, name := x.out.proto, ""
	if len(args) > 1 {
		n, err := strconv.ParseInt(string(args[1]), 10, 64)
		switch {
		case err != nil:
			x.out.fail(redisError("ERR Protocol version is not an integer or out of range"))
			return
		case n != 2 && n != 3:
			x.out.fail(redisError("NOPROTO unsupported protocol version"))
			return
		}
		proto = int(n)
		if name, err = helloOptions(args[2:]); err != nil {
			x.out.fail(err)
			return
		}
	}
	x.setProto(proto)
	if name != "" {
		x.c.about.update(func(a *about) { a.name = name })
	}
	x.sayHello()
}

func helloOptions(words [][]byte) (name string, err error) {
	for len(words) > 0 {
		switch {
		case is(words[0], "AUTH") && len(words) > 2:
			return "", redisError("ERR AUTH <password> called without any password configured for the default user. " +
				"Are you sure your configuration is correct?")
		case is(words[0], "SETNAME") && len(words) > 1:
			name = string(words[1])
			if err := checkClientName(name); err != nil {
				return "", err
			}
			words = words[2:]
		default:
			return "", redisError(fmt.Sprintf("ERR Syntax error in HELLO option '%.64s'", words[0]))
		}
	}
	return name, nil
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

const errClientName = redisError("ERR Client names cannot contain spaces, newlines or special characters.")

// checkClientName refuses what CLIENT LIST could not show, or nobody would read: names are kept, at no cost.
func checkClientName(name string) error {
	switch {
	case len(name) > maxLabel:
		return errTooLong("a client name")
	case !printable(name):
		return errClientName
	}
	return nil
}

func errTooLong(what string) error {
	return redisError(fmt.Sprintf("ERR %s has at most %d bytes", what, maxLabel))
}

// printable reports whether s fits into a line of CLIENT LIST.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '!' || r > '~' }) < 0
}
