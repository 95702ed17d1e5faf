package resp

import (
	"strconv"

	"github.com/stated/stated/protocol/auth"
)

func connectionCommands() []spec {
	const family = "connection"
	return []spec{
		{
			name: "ping", arity: -1, flags: flagFast | flagInstant, role: auth.RoleRead, family: family, handle: ping,
			args: "[message]", summary: "Answers PONG, or its argument.", reply: "PONG, or message",
		},
		{
			name: "echo", arity: 2, flags: flagFast | flagInstant, role: auth.RoleRead, family: family,
			handle: func(x *executor, args [][]byte) { x.out.bulk(args[1]) },
			args:   "message", summary: "Answers its argument.", reply: "message",
		},
		{
			name: "quit", arity: -1, flags: flagFast | flagNoAuth | flagControl, family: family, handle: quit,
			summary: "Closes the connection.", reply: "OK",
		},
		{
			name: "select", arity: 2, flags: flagFast | flagInstant, role: auth.RoleRead, family: family, handle: selectDB,
			args: "index", summary: "Chooses the database; there is only 0.", reply: "OK",
		},
		{
			name: "reset", arity: 1, flags: flagFast | flagNoAuth | flagControl | flagGate, family: family, handle: reset,
			summary: "Makes the connection as new: no transaction, no name, RESP2, not authenticated.", reply: "RESET",
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
		x.reject(errArity("ping"))
	}
}

func quit(x *executor, _ [][]byte) {
	x.out.ok()
	x.ending = true
}

func selectDB(x *executor, args [][]byte) {
	switch n, err := strconv.ParseInt(string(args[1]), 10, 64); {
	case err != nil:
		x.reject(errNotInteger)
	case n != 0:
		x.reject(redisError("ERR DB index is out of range"))
	default:
		x.out.ok()
	}
}

func reset(x *executor, _ [][]byte) {
	x.leaveMulti()
	x.setProto(2)
	x.c.about.update(func(a *about) { a.name = "" })
	x.become(x.c.srv.opts.Tokens.Anonymous())
	x.out.simple("RESET")
}

func (x *executor) setProto(n int) {
	x.out.proto = n
	x.c.about.update(func(a *about) { a.proto = n })
}
