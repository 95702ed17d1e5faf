package resp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// client performs CLIENT and its subcommands.
func client(x *executor, args [][]byte) {
	sub := strings.ToLower(string(args[1][:min(len(args[1]), maxNameBytes)]))
	switch n := len(args); {
	case sub == "id" && n == 2:
		x.out.int(x.c.id)
	case sub == "getname" && n == 2:
		x.clientName()
	case sub == "setname" && n == 3:
		x.setClientName(string(args[2]))
	case sub == "setinfo" && n == 4:
		x.setClientInfo(args[2], string(args[3]))
	case sub == "info" && n == 2:
		x.out.verbatim(x.c.line() + "\n")
	case sub == "list":
		x.listClients(args[2:])
	case sub == "no-evict" && n == 3, sub == "no-touch" && n == 3:
		if is(args[2], "on") || is(args[2], "off") {
			x.out.ok() // nothing is ever evicted here
		} else {
			x.out.fail(errSyntax)
		}
	case slices.Contains([]string{"id", "getname", "setname", "setinfo", "info", "no-evict", "no-touch"}, sub):
		x.out.fail(errArity("client|" + sub))
	default:
		x.out.fail(errSubcommand("CLIENT", args[1]))
	}
}

func (x *executor) clientName() {
	var name string
	x.c.about.update(func(a *about) { name = a.name })
	if name == "" {
		x.out.null()
		return
	}
	x.out.bulkString(name)
}

func (x *executor) setClientName(name string) {
	if err := checkClientName(name); err != nil {
		x.out.fail(err)
		return
	}
	x.c.about.update(func(a *about) { a.name = name })
	x.out.ok()
}

func (x *executor) setClientInfo(attribute []byte, value string) {
	switch {
	case !is(attribute, "lib-name") && !is(attribute, "lib-ver"):
		x.out.fail(redisError(fmt.Sprintf("ERR Unrecognized option '%.64s'", attribute)))
		return
	case len(value) > maxLabel:
		x.out.fail(errTooLong(strings.ToLower(string(attribute))))
		return
	case !printable(value):
		x.out.fail(redisError("ERR " + strings.ToLower(string(attribute)) + " cannot contain spaces, newlines or special characters."))
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

// listClients performs CLIENT LIST [TYPE normal] [ID id ...].
func (x *executor) listClients(words [][]byte) {
	wanted := map[int64]bool{}
	switch {
	case len(words) == 0:
	case len(words) == 2 && is(words[0], "TYPE") && is(words[1], "normal"):
	case len(words) > 1 && is(words[0], "ID"):
		for _, w := range words[1:] {
			id, err := strconv.ParseInt(string(w), 10, 64)
			if err != nil {
				x.out.fail(redisError("ERR Invalid client ID"))
				return
			}
			wanted[id] = true
		}
	default:
		x.out.fail(errSyntax)
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
		"qbuf=%d tot-mem=%d events=r cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
		c.id, c.nc.RemoteAddr(), c.nc.LocalAddr(), a.name, int(now.Sub(c.since).Seconds()), int(now.Sub(a.active).Seconds()),
		flags, a.queued, a.watched, used, used+readBuffer, cmp.Or(a.command, "NULL"), a.proto, a.lib, a.libVer)
}
