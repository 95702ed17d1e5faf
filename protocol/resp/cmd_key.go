package resp

import (
	"strconv"
	"unicode/utf8"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// keyCommands are those on agents without their states, and on all agents.
func keyCommands() []spec {
	const all = "O(N) where N is the number of agents"
	return []spec{
		{
			name: "type", arity: 2, flags: flagRead | flagFast | flagMulti, role: auth.RoleRead, family: "generic", keys: [3]int{1, 1, 1}, plan: planType,
			args: "id", summary: "Tells whether an agent exists.", reply: "string, or none if it does not",
		},
		{
			name: "keys", arity: 2, flags: flagRead, role: auth.RoleRead, family: "generic", handle: keys,
			args: "pattern", summary: "Lists the agents that match a pattern.",
			complexity: "O(N) where N is the number of agents that begin as the pattern does, up to its first special character", reply: "an array of ids",
		},
		{
			name: "scan", arity: -2, flags: flagRead, role: auth.RoleRead, family: "generic", handle: scan,
			args: "cursor [MATCH pattern] [COUNT count] [TYPE type]", summary: "Lists agents step by step.",
			complexity: "O(N) where N is COUNT", reply: "the next cursor, 0 at the end, and an array of ids",
		},
		{
			name: "dbsize", arity: 1, flags: flagRead, role: auth.RoleRead, family: "server", plan: planDBSize,
			summary: "Counts the agents.", complexity: all, reply: "an integer",
		},
		{
			name: "flushdb", arity: -1, flags: flagWrite, role: auth.RoleAdmin, family: "server", plan: planFlush,
			args: "[ASYNC | SYNC]", summary: "Deletes every agent.", complexity: all, reply: "OK",
		},
		{
			name: "flushall", arity: -1, flags: flagWrite, role: auth.RoleAdmin, family: "server", plan: planFlush,
			args: "[ASYNC | SYNC]", summary: "Deletes every agent.", complexity: all, reply: "OK",
		},
	}
}

func planType(args [][]byte, _ bool) (*plan, error) {
	op, err := protocol.Stat(string(args[1]))
	return planOne(op, err, func(o *output, r protocol.Reply) {
		if r.Found {
			o.simple("string")
		} else {
			o.simple("none")
		}
	})
}

func planDBSize([][]byte, bool) (*plan, error) {
	op, err := protocol.Count("")
	return planOne(op, err, func(o *output, r protocol.Reply) { o.int(r.Count) })
}

func planFlush(args [][]byte, _ bool) (*plan, error) {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "ASYNC") && !is(args[1], "SYNC") {
		return nil, errSyntax
	}
	return planOne(protocol.Clear(), nil, func(o *output, _ protocol.Reply) { o.ok() })
}

// keys lists page by page, so that what it holds is what it answers.
func keys(x *executor, args [][]byte) {
	if err := checkPattern(args[1]); err != nil {
		x.reject(err)
		return
	}
	pattern := string(args[1])
	var found []string
	size, most := 0, x.c.srv.opts.OutputBytes
	err := x.eachAgent(validPrefix(literalPrefix(pattern)), "", -1, func(e protocol.Entry) error {
		if !match(pattern, e.ID) {
			return nil
		}
		if size += len(e.ID) + len("$100\r\n\r\n"); size > most {
			return tooLarge(size, most, "use SCAN, or a narrower pattern")
		}
		found = append(found, e.ID)
		return nil
	})
	if err != nil {
		x.out.fail(err)
		return
	}
	x.out.array(len(found))
	for _, id := range found {
		x.out.bulkString(id)
	}
}

// validPrefix shortens a prefix to what an agent id can begin with: a pattern may cut a character in two.
func validPrefix(p string) string {
	for i := 0; i < utf8.UTFMax-1 && !utf8.ValidString(p); i++ {
		p = p[:len(p)-1]
	}
	return p
}

// eachAgent calls f for most agents at the most (any number if it is negative) whose id begins with prefix,
// behind the id after, in byte order. A prefix that no id can have matches nothing. All pages share one step.
func (x *executor) eachAgent(prefix, after string, most int, f func(protocol.Entry) error) error {
	defer x.finishStep()
	for most != 0 {
		limit := protocol.MaxListLimit
		if most > 0 {
			limit = min(limit, most)
		}
		op, err := protocol.List(prefix, after, limit)
		if err != nil {
			return nil //nolint:nilerr // no agent has such an id
		}
		reply, err := x.doWithinStep(op)
		if err != nil {
			return err
		}
		if err := x.inTime(reply.Entries, f); err != nil {
			return err
		}
		if reply.Next == "" || reply.Next == after {
			return nil
		}
		after = reply.Next
		if most > 0 {
			most -= len(reply.Entries)
		}
	}
	return nil
}

// inTime calls f for entries, as long as the step lasts: a pattern may take its time.
func (x *executor) inTime(entries []protocol.Entry, f func(protocol.Entry) error) error {
	for _, e := range entries {
		if err := x.begin().Err(); err != nil {
			return protocol.Errorf(protocol.CodeOverloaded, "not done before the deadline").Because(err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

const defaultScanCount = 10

// scanOptions are SCAN's arguments.
type scanOptions struct {
	cursor  int64
	count   int
	pattern string
	matches bool
	nothing bool // only types were asked for that no agent has
}

func scan(x *executor, args [][]byte) {
	o, err := parseScan(args)
	if err != nil {
		x.reject(err)
		return
	}
	op, err := protocol.Scan(o.cursor, o.count)
	if err != nil {
		x.reject(err)
		return
	}
	defer x.finishStep()
	reply, err := x.doWithinStep(op)
	var ids []string
	if err == nil {
		err = x.inTime(reply.Entries, func(e protocol.Entry) error {
			if !o.nothing && (!o.matches || match(o.pattern, e.ID)) {
				ids = append(ids, e.ID)
			}
			return nil
		})
	}
	if err != nil {
		x.out.fail(err)
		return
	}
	x.out.array(2)
	x.out.bulkString(strconv.FormatInt(reply.Count, 10))
	x.out.array(len(ids))
	for _, id := range ids {
		x.out.bulkString(id)
	}
}

func parseScan(args [][]byte) (scanOptions, error) {
	o := scanOptions{count: defaultScanCount}
	var err error
	if o.cursor, err = strconv.ParseInt(string(args[1]), 10, 64); err != nil || o.cursor < 0 {
		return o, redisError("ERR invalid cursor")
	}
	for rest := args[2:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 {
			return o, errSyntax
		}
		word, value := rest[0], string(rest[1])
		switch {
		case is(word, "MATCH"):
			if err := checkPattern(rest[1]); err != nil {
				return o, err
			}
			o.pattern, o.matches = value, true
		case is(word, "COUNT"):
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return o, errNotInteger
			}
			if n < 1 {
				return o, errSyntax
			}
			o.count = int(min(n, protocol.MaxListLimit))
		case is(word, "TYPE"):
			o.nothing = !is(rest[1], "string")
		default:
			return o, errSyntax
		}
	}
	return o, nil
}
