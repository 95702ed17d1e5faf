package resp

import (
	"fmt"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// This file decides what a client may do. It is asked three times: when a command comes, when EXEC performs what
// was queued, and, as a last defense against a mistake in the table of commands, for each operation.

const errNoAuth = redisError("NOAUTH Authentication required.")

func errNoPerm(user, command string) error {
	return redisError(fmt.Sprintf("NOPERM User %s has no permissions to run the '%s' command", user, command))
}

// renew brings the client's grant up to date. One whose token is gone is nobody again, and its transaction ends.
func (x *executor) renew() {
	tokens := x.c.srv.opts.Tokens
	now, ok := tokens.Renew(x.grant)
	if !ok {
		now = tokens.Anonymous()
		if x.grant.Role != auth.RoleNone {
			x.leaveMulti()
		}
	}
	if now != x.grant {
		x.become(now)
	}
}

// become gives the client another grant.
func (x *executor) become(g auth.Grant) {
	x.grant = g
	x.c.grant.Store(&g)
	x.c.about.update(func(a *about) { a.user = g.Name })
	x.c.watchStranger()
}

// permit returns an error unless the client may run a command; nil stands for one that there is not.
func (x *executor) permit(s *spec) error {
	switch {
	case s != nil && s.flags&flagNoAuth != 0:
		return nil
	case x.grant.Role == auth.RoleNone:
		return errNoAuth // also to an unknown command: its words may be a mistyped AUTH
	case s != nil && !x.grant.Allows(s.role):
		x.c.srv.deniedCommands.Add(1)
		return errNoPerm(x.grant.Name, s.name)
	}
	return nil
}

// permitOp returns an error unless the client may have an operation performed.
func (x *executor) permitOp(op *protocol.Op) error {
	needed := auth.RoleRead
	switch {
	case op.Kind() == protocol.KindClear:
		needed = auth.RoleAdmin
	case op.Writes():
		needed = auth.RoleWrite
	}
	if x.grant.Allows(needed) {
		return nil
	}
	x.c.srv.opts.Logger.Error().Int64("client", x.c.id).Stringer("op", op.Kind()).
		Msg("a command needs less than what it does: refused")
	return errNoPerm(x.grant.Name, op.Kind().String())
}

// reject answers an error that the server found itself, before any request reached the handler.
func (x *executor) reject(err error) {
	x.c.srv.refused(err)
	x.out.fail(err)
}

// refused tells [Options.Refused] of such an error.
func (s *Server) refused(err error) { s.opts.Refused(parseErrorLine(errorLine(err)).Code) }

// known reports whether the client is authenticated, or need not be. The reader asks this, on its own.
func (c *conn) known() bool {
	g, ok := c.srv.opts.Tokens.Renew(*c.grant.Load())
	return ok && g.Role != auth.RoleNone
}
