package resp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stated/stated/protocol/auth"
)

func clientCommands() []spec {
	const read = auth.RoleRead
	return []spec{{
		name: "client", arity: -2, role: read, family: "connection",
		args: "", summary: "Tells about connections, and names this one.",
		subs: []spec{
			{
				name: "client|id", arity: 2, role: read, handle: func(x *executor, _ [][]byte) { x.out.int(x.c.id) },
				summary: "Tells the id of this connection.", reply: "an integer",
			},
			{
				name: "client|info", arity: 2, role: read,
				handle:  func(x *executor, _ [][]byte) { x.out.verbatim(x.c.line() + "\n") },
				summary: "Tells about this connection.", reply: "a line of text",
			},
			{
				name: "client|list", arity: -2, role: auth.RoleAdmin, handle: listClients,
				args: "[TYPE normal | ID client-id [client-id ...]]", summary: "Tells about all connections, or some.",
				complexity: "O(N) where N is the number of connections", reply: "a line of text for each connection",
			},
			{
				name: "client|getname", arity: 2, role: read, handle: clientName,
				summary: "Tells the name of this connection.", reply: "the name, or nil",
			},
			{
				name: "client|setname", arity: 3, role: read, handle: setClientName,
				args: "connection-name", summary: "Names this connection.", reply: "OK",
			},
			{
				name: "client|setinfo", arity: 4, role: read, handle: setClientInfo,
				args: "<LIB-NAME libname | LIB-VER libver>", summary: "Names the library of this connection.", reply: "OK",
			},
			{
				name: "client|no-evict", arity: 3, role: read, handle: onOrOff,
				args: "<ON | OFF>", summary: "Does nothing: clients are never evicted.", reply: "OK",
			},
			{
				name: "client|no-touch", arity: 3, role: read, handle: onOrOff,
				args: "<ON | OFF>", summary: "Does nothing: agents are never evicted.", reply: "OK",
			},
		},
	}}
}

func onOrOff(x *executor, args [][]byte) {
	if is(args[2], "on") || is(args[2], "off") {
		x.out.ok()
		return
	}
	x.reject(errSyntax)
}

func clientName(x *executor, _ [][]byte) {
	var name string
	x.c.about.update(func(a *about) { name = a.name })
	if name == "" {
		x.out.null()
		return
	}
	x.out.bulkString(name)
}

func setClientName(x *executor, args [][]byte) {
	name := string(args[2])
	if err := checkClientName(name); err != nil {
		x.reject(err)
		return
	}
	x.c.about.update(func(a *about) { a.name = name })
	x.out.ok()
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

func setClientInfo(x *executor, args [][]byte) {
	attribute, value := args[2], string(args[3])
	switch {
	case !is(attribute, "lib-name") && !is(attribute, "lib-ver"):
		x.reject(redisError(fmt.Sprintf("ERR Unrecognized option '%.64s'", attribute)))
		return
	case len(value) > maxLabel:
		x.reject(errTooLong(strings.ToLower(string(attribute))))
		return
	case !printable(value):
		x.reject(redisError("ERR " + strings.ToLower(string(attribute)) + " cannot contain spaces, newlines or special characters."))
		return
	}
	x.c.about.update(func(a *about) {
		if is(attribute, "lib-name") {
			a.lib = value
		} else {
			a.libVer = value
		}
	})
	x.out.ok()
}

func listClients(x *executor, args [][]byte) {
	words := args[2:]
	wanted := map[int64]bool{}
	switch {
	case len(words) == 0:
	case len(words) == 2 && is(words[0], "TYPE") && is(words[1], "normal"):
	case len(words) > 1 && is(words[0], "ID"):
		for _, w := range words[1:] {
			id, err := strconv.ParseInt(string(w), 10, 64)
			if err != nil {
				x.reject(redisError("ERR Invalid client ID"))
				return
			}
			wanted[id] = true
		}
	default:
		x.reject(errSyntax)
		return
	}
	all := x.c.srv.clients()
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	var b strings.Builder
	for _, c := range all {
		if len(wanted) == 0 || wanted[c.id] {
			b.WriteString(c.line() + "\n")
		}
	}
	x.out.verbatim(b.String())
}

// line describes the connection in the form of CLIENT LIST.
func (c *conn) line() string {
	now := time.Now()
	used := c.account.usedBytes()
	a := &c.about
	a.mu.Lock()
	defer a.mu.Unlock()
	flags := "N"
	if a.queued >= 0 {
		flags = "x"
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d watch=%d "+
		"qbuf=%d tot-mem=%d events=r cmd=%s user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s",
		c.id, c.nc.RemoteAddr(), c.nc.LocalAddr(), a.name, int(now.Sub(c.since).Seconds()), int(now.Sub(a.active).Seconds()),
		flags, a.queued, a.watched, used, used+readBuffer, cmp.Or(a.command, "NULL"), a.user, a.proto, a.lib, a.libVer)
}
