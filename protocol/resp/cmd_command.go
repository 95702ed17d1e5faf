package resp

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stated/stated/protocol/auth"
)

func commandCommands() []spec {
	const read, each = auth.RoleRead, "O(N) where N is the number of commands"
	return []spec{{
		name: "command", arity: -1, role: read, family: "server",
		handle: func(x *executor, _ [][]byte) { x.writeInfos(x.c.srv.table.sorted()) },
		args:   "", summary: "Tells about all commands.", complexity: each, reply: "an array with an array for each command",
		subs: []spec{
			{
				name: "command|count", arity: 2, role: read,
				handle:  func(x *executor, _ [][]byte) { x.out.int(int64(len(x.c.srv.table))) },
				summary: "Counts the commands.", reply: "an integer",
			},
			{
				name: "command|docs", arity: -2, role: read, handle: commandDocs,
				args: "[command-name ...]", summary: "Describes commands.", complexity: each, reply: "a map of commands to maps",
			},
			{
				name: "command|getkeys", arity: -3, role: read, handle: commandGetKeys,
				args: "command [arg ...]", summary: "Tells which words of a command are agent ids.",
				complexity: "O(N) where N is the number of words", reply: "an array of ids",
			},
			{
				name: "command|info", arity: -2, role: read, handle: commandInfo,
				args: "[command-name ...]", summary: "Tells about commands.", complexity: each,
				reply: "an array with an array for each command, nil for an unknown one",
			},
			{
				name: "command|list", arity: -2, role: read, handle: commandList,
				args:    "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
				summary: "Lists the names of the commands.", complexity: each, reply: "an array of names",
			},
		},
	}}
}

func (t table) sorted() []*spec {
	all := make([]*spec, 0, len(t))
	for _, s := range t {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *spec) int { return cmp.Compare(a.name, b.name) })
	return all
}

func commandInfo(x *executor, args [][]byte) {
	t := x.c.srv.table
	if len(args) == 2 {
		x.writeInfos(t.sorted())
		return
	}
	specs := make([]*spec, 0, len(args)-2)
	for _, name := range args[2:] {
		specs = append(specs, t.named(name)) // nil for an unknown one
	}
	x.writeInfos(specs)
}

// words of a command's flags as COMMAND INFO gives them.
func (s *spec) words() (words []string) {
	for _, w := range []struct {
		flag flags
		word string
	}{{flagWrite, "write"}, {flagRead, "readonly"}, {flagFast, "fast"}, {flagNoAuth, "no_auth"}} {
		if s.flags&w.flag != 0 {
			words = append(words, w.word)
		}
	}
	if s.role == auth.RoleAdmin {
		words = append(words, "admin")
	}
	return words
}

// categories are those of Redis's access lists.
func (s *spec) categories() (words []string) {
	switch s.family {
	case "connection", "string":
		words = append(words, "@"+s.family)
	case "transactions":
		words = append(words, "@transaction")
	case "generic", "stated":
		words = append(words, "@keyspace")
	case "server":
		if s.flags&(flagRead|flagWrite) != 0 {
			words = append(words, "@keyspace")
		}
	}
	speed := "@slow"
	if s.flags&flagFast != 0 {
		speed = "@fast"
	}
	words = append(words, speed)
	if s.flags&flagRead != 0 {
		words = append(words, "@read")
	}
	if s.flags&flagWrite != 0 {
		words = append(words, "@write")
	}
	if s.role == auth.RoleAdmin {
		words = append(words, "@admin", "@dangerous")
	}
	return words
}

func (x *executor) writeInfos(specs []*spec) {
	o := x.out
	o.array(len(specs))
	for _, s := range specs {
		if s == nil {
			o.null()
			continue
		}
		o.array(10)
		o.bulkString(s.name)
		o.int(int64(s.arity))
		o.setOf(s.words())
		for _, k := range s.keys {
			o.int(int64(k))
		}
		o.setOf(s.categories())
		o.array(0) // tips
		o.array(0) // key specifications: the three numbers say it all
		subs := make([]*spec, len(s.subs))
		for i := range s.subs {
			subs[i] = &s.subs[i]
		}
		x.writeInfos(subs)
	}
}

func commandDocs(x *executor, args [][]byte) {
	t := x.c.srv.table
	var specs []*spec
	if len(args) == 2 {
		specs = t.sorted()
	}
	for _, name := range args[2:] {
		if s := t.named(name); s != nil {
			specs = append(specs, s)
		}
	}
	x.out.mapOf(len(specs))
	for _, s := range specs {
		x.writeDocs(s)
	}
}

// since is the version of stated that every command is in from the beginning.
const since = "1.0.0"

func (s *spec) cost() string { return cmp.Or(s.complexity, "O(1)") }

func (x *executor) writeDocs(s *spec) {
	o := x.out
	arguments := parseSyntax(s.args)
	n := 4
	if len(arguments) > 0 {
		n++
	}
	if len(s.subs) > 0 {
		n++
	}
	o.bulkString(s.name)
	o.mapOf(n)
	for _, f := range []Field{{"summary", s.summary}, {"since", since}, {"group", s.family}, {"complexity", s.cost()}} {
		o.bulkString(f.Key)
		o.bulkString(f.Value)
	}
	if len(arguments) > 0 {
		o.bulkString("arguments")
		o.arguments(arguments)
	}
	if len(s.subs) > 0 {
		o.bulkString("subcommands")
		o.mapOf(len(s.subs))
		for i := range s.subs {
			x.writeDocs(&s.subs[i])
		}
	}
}

func (o *output) arguments(all []argument) {
	o.array(len(all))
	for _, a := range all {
		fields := []Field{{"name", a.name}, {"type", a.kind}}
		if a.token != "" {
			fields = append(fields, Field{"token", a.token})
		}
		var flags []string
		if a.optional {
			flags = append(flags, "optional")
		}
		if a.multiple {
			flags = append(flags, "multiple")
		}
		n := len(fields)
		if len(flags) > 0 {
			n++
		}
		if len(a.parts) > 0 {
			n++
		}
		o.mapOf(n)
		for _, f := range fields {
			o.bulkString(f.Key)
			o.bulkString(f.Value)
		}
		if len(flags) > 0 {
			o.bulkString("flags")
			o.setOf(flags)
		}
		if len(a.parts) > 0 {
			o.bulkString("arguments")
			o.arguments(a.parts)
		}
	}
}

func commandList(x *executor, args [][]byte) {
	wanted := func(*spec) bool { return true }
	switch filter := args[2:]; {
	case len(filter) == 0:
	case len(filter) != 3 || !is(filter[0], "FILTERBY"):
		x.reject(errSyntax)
		return
	case is(filter[1], "MODULE"):
		wanted = func(*spec) bool { return false }
	case is(filter[1], "ACLCAT"):
		wanted = func(s *spec) bool { return slices.Contains(s.categories(), "@"+strings.ToLower(string(filter[2]))) }
	case is(filter[1], "PATTERN"):
		if err := checkPattern(filter[2]); err != nil {
			x.reject(err)
			return
		}
		wanted = func(s *spec) bool { return match(strings.ToLower(string(filter[2])), s.name) }
	default:
		x.reject(errSyntax)
		return
	}
	var names []string
	for _, s := range x.c.srv.table.sorted() {
		if wanted(s) {
			names = append(names, s.name)
		}
	}
	x.out.array(len(names))
	for _, name := range names {
		x.out.bulkString(name)
	}
}

func commandGetKeys(x *executor, args [][]byte) {
	words := args[2:]
	s := x.c.srv.table.lookup(words[0])
	called, err := s.called(words)
	switch {
	case s == nil:
		x.reject(redisError("ERR Invalid command specified"))
		return
	case err != nil:
		x.reject(redisError("ERR Invalid number of arguments specified for command"))
		return
	case called.keys[0] == 0:
		x.reject(redisError("ERR The command has no key arguments"))
		return
	}
	last := called.keys[1]
	if last < 0 {
		last += len(words)
	}
	var ids [][]byte
	for i := called.keys[0]; i <= last; i += called.keys[2] {
		ids = append(ids, words[i])
	}
	x.out.array(len(ids))
	for _, id := range ids {
		x.out.bulk(id)
	}
}
