package resp

import (
	"strconv"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// stateCommands are stated's own.
func stateCommands() []spec {
	const (
		family, read, write = "stated", auth.RoleRead, auth.RoleWrite
		some                = "O(N) where N is the number of agents whose ids begin with the prefix"
		skipped             = "; nil if ORSKIP skipped it"
	)
	key := [3]int{1, 1, 1}
	return []spec{
		{
			name: "state.save", arity: -3, flags: flagWrite | flagFast | flagMulti, role: write, family: family, keys: key, plan: planStateSave,
			args: "id json [IFREV revision | IFABSENT | IFEXISTS] [FOUND] [ORSKIP]", summary: "Saves the state of an agent.",
			reply: "the revision, the time in ms and, with FOUND, 1 if the agent existed, else 0" + skipped, errors: "CONFLICT",
		},
		{
			name: "state.load", arity: 2, flags: flagRead | flagFast | flagMulti, role: read, family: family, keys: key, plan: planStateLoad,
			args: "id", summary: "Gives all there is about an agent.", reply: "the revision, the time of the last change in ms, and the state; or nil",
		},
		{
			name: "state.stat", arity: 2, flags: flagRead | flagFast | flagMulti, role: read, family: family, keys: key, plan: planStateStat,
			args: "id", summary: "Gives all there is about an agent but its state.",
			reply: "the revision, the time of the last change in ms, and the bytes of the state; or nil",
		},
		{
			name: "state.delete", arity: -2, flags: flagWrite | flagFast | flagMulti, role: write, family: family, keys: key, plan: planStateDelete,
			args: "id [IFREV revision | IFEXISTS] [ORSKIP]", summary: "Deletes an agent.",
			reply: "1 if it existed, else 0; and the revision" + skipped, errors: "CONFLICT",
		},
		{
			name: "state.check", arity: -3, flags: flagRead | flagFast | flagMulti, role: read, family: family, keys: key, plan: planStateCheck,
			args:    "id <revision | IFREV revision | IFABSENT | IFEXISTS> [ORSKIP]",
			summary: "Makes a transaction depend on an agent; in MULTI only.", reply: "OK" + skipped, errors: "CONFLICT",
		},
		{
			name: "state.list", arity: -1, flags: flagRead, role: read, family: family, handle: stateList,
			args: "[PREFIX prefix] [AFTER id] [LIMIT limit]", summary: "Lists agents in the order of their ids, 100 unless LIMIT says otherwise.",
			complexity: "O(log(M)+N) where N is LIMIT and M the number of agents",
			reply:      "an array of id, revision, time of the last change in ms, bytes of the state; fewer than LIMIT at the end",
		},
		{
			name: "state.count", arity: -1, flags: flagRead, role: read, family: family, plan: planStateCount,
			args: "[PREFIX prefix]", summary: "Counts agents.", complexity: some, reply: "an integer",
		},
		{
			name: "state.clear", arity: 1, flags: flagWrite, role: auth.RoleAdmin, family: family, plan: planStateClear,
			summary: "Deletes every agent.", complexity: "O(N) where N is the number of agents", reply: "the number of agents, and the revision",
		},
	}
}

// stateOptions are the words behind the arguments of a native command.
type stateOptions struct {
	cond  protocol.Condition
	found bool // FOUND: tell whether the agent existed
	skip  bool // ORSKIP: in a transaction, a failed condition skips this command alone
}

func parseStateOptions(words [][]byte, multi bool) (o stateOptions, err error) {
	for ; len(words) > 0; words = words[1:] {
		w := words[0]
		switch {
		case is(w, "FOUND"):
			o.found = true
		case is(w, "ORSKIP") && !multi:
			return o, redisError("ERR ORSKIP is allowed inside MULTI only")
		case is(w, "ORSKIP"):
			o.skip = true
		case !o.cond.None():
			return o, errSyntax
		case is(w, "IFABSENT"):
			o.cond = protocol.IfAbsent()
		case is(w, "IFEXISTS"):
			o.cond = protocol.IfExists()
		case is(w, "IFREV") && len(words) > 1:
			words = words[1:]
			if o.cond, err = parseRevision(words[0]); err != nil {
				return o, err
			}
		default:
			return o, errSyntax
		}
	}
	return o, nil
}

func parseRevision(arg []byte) (protocol.Condition, error) {
	n, err := strconv.ParseInt(string(arg), 10, 64)
	if err != nil {
		return protocol.Condition{}, errNotInteger
	}
	return protocol.IfRevision(n), nil
}

// plan makes a plan of an operation to which ORSKIP may apply.
func (o stateOptions) plan(op protocol.Op, err error, render func(*output, protocol.Reply)) (*plan, error) {
	if o.skip {
		op = op.OrSkip()
	}
	return planOne(op, err, func(out *output, r protocol.Reply) {
		if r.Skipped {
			out.nullArray()
			return
		}
		render(out, r)
	})
}

func planStateSave(args [][]byte, multi bool) (*plan, error) {
	o, err := parseStateOptions(args[3:], multi)
	if err != nil {
		return nil, err
	}
	op, err := protocol.Save(string(args[1]), args[2], o.cond)
	return o.plan(op, err, func(out *output, r protocol.Reply) {
		if o.found {
			out.array(3)
		} else {
			out.array(2)
		}
		out.int(r.Revision)
		out.millis(r.UpdatedAt)
		if o.found {
			out.bool(r.Found)
		}
	})
}

func planStateLoad(args [][]byte, _ bool) (*plan, error) {
	op, err := protocol.Load(string(args[1]))
	return planOne(op, err, func(o *output, r protocol.Reply) {
		if recordHead(o, r) {
			o.bulk(r.State)
		}
	})
}

func planStateStat(args [][]byte, _ bool) (*plan, error) {
	op, err := protocol.Stat(string(args[1]))
	return planOne(op, err, func(o *output, r protocol.Reply) {
		if recordHead(o, r) {
			o.int(r.Bytes)
		}
	})
}

// recordHead begins a record of three, or writes null for an agent that was not found.
func recordHead(o *output, r protocol.Reply) bool {
	if !r.Found {
		o.nullArray()
		return false
	}
	o.array(3)
	o.int(r.Revision)
	o.millis(r.UpdatedAt)
	return true
}

func planStateDelete(args [][]byte, multi bool) (*plan, error) {
	o, err := parseStateOptions(args[2:], multi)
	if err != nil {
		return nil, err
	}
	if o.found {
		return nil, errSyntax
	}
	op, err := protocol.Delete(string(args[1]), o.cond)
	return o.plan(op, err, func(out *output, r protocol.Reply) {
		out.array(2)
		out.bool(r.Found)
		out.int(r.Revision)
	})
}

func planStateCheck(args [][]byte, multi bool) (*plan, error) {
	if !multi {
		return nil, redisError("ERR STATE.CHECK is allowed inside MULTI only")
	}
	words := args[2:]
	if _, err := strconv.ParseInt(string(words[0]), 10, 64); err == nil {
		words = append([][]byte{[]byte("IFREV")}, words...)
	}
	o, err := parseStateOptions(words, multi)
	if err != nil {
		return nil, err
	}
	if o.found {
		return nil, errSyntax
	}
	op, err := protocol.Check(string(args[1]), o.cond)
	return o.plan(op, err, func(out *output, _ protocol.Reply) { out.ok() })
}

func planStateCount(args [][]byte, _ bool) (*plan, error) {
	prefix := ""
	switch {
	case len(args) == 3 && is(args[1], "PREFIX"):
		prefix = string(args[2])
	case len(args) != 1:
		return nil, errSyntax
	}
	op, err := protocol.Count(prefix)
	return planOne(op, err, func(o *output, r protocol.Reply) { o.int(r.Count) })
}

func planStateClear([][]byte, bool) (*plan, error) {
	return planOne(protocol.Clear(), nil, func(o *output, r protocol.Reply) {
		o.array(2)
		o.int(r.Count)
		o.int(r.Revision)
	})
}

// stateList answers a full page, even if the handler gives shorter ones: a short page tells the client that it is
// the last one.
func stateList(x *executor, args [][]byte) {
	prefix, after, limit, err := parseList(args[1:])
	if err == nil {
		_, err = protocol.List(prefix, after, limit) // eachAgent takes what is wrong for an empty list
	}
	if err != nil {
		x.reject(err)
		return
	}
	if limit == 0 {
		limit = protocol.DefaultListLimit
	}
	size, most := 0, x.c.srv.opts.OutputBytes
	var page []protocol.Entry
	err = x.eachAgent(prefix, after, limit, func(e protocol.Entry) error {
		if size += len(e.ID) + entryOverhead; size > most {
			return tooLarge(size, most, "use a lower LIMIT")
		}
		page = append(page, e)
		return nil
	})
	if err != nil {
		x.out.fail(err)
		return
	}
	x.out.array(len(page))
	for _, e := range page {
		x.out.array(4)
		x.out.bulkString(e.ID)
		x.out.int(e.Revision)
		x.out.millis(e.UpdatedAt)
		x.out.int(e.Bytes)
	}
}

func parseList(words [][]byte) (prefix, after string, limit int, err error) {
	for ; len(words) > 0; words = words[2:] {
		if len(words) == 1 {
			return "", "", 0, errSyntax
		}
		switch value := string(words[1]); {
		case is(words[0], "PREFIX"):
			prefix = value
		case is(words[0], "AFTER"):
			after = value
		case is(words[0], "LIMIT"):
			if limit, err = strconv.Atoi(value); err != nil {
				return "", "", 0, errNotInteger
			}
			if limit == 0 { // which the vocabulary would take for the default
				return "", "", 0, protocol.Errorf(protocol.CodeInvalid, "limit 0 is out of range: 1 to %d", protocol.MaxListLimit)
			}
		default:
			return "", "", 0, errSyntax
		}
	}
	return prefix, after, limit, nil
}
