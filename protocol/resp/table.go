package resp

import (
	"bytes"
	"fmt"
	"strings"
)

// flags of a command.
type flags uint

const (
	flagWrite   flags = 1 << iota // can change the store
	flagRead                      // reads the store
	flagFast                      // takes about constant time
	flagAdmin                     // concerns the daemon, not agents
	flagMany                      // takes very many arguments
	flagMulti                     // can be queued in MULTI
	flagControl                   // works inside MULTI, instead of being queued
	flagInstant                   // its reply depends on no earlier command's outcome
	flagOrdered                   // keeps its reply in order itself
)

// spec is what there is to know about a command. Either plan or handle is set.
type spec struct {
	name    string
	arity   int // arguments with the name; negative: at least so many
	flags   flags
	family  string
	summary string
	help    []string // a line for each subcommand; then the command has HELP too
	keys    [3]int   // position of the first and last agent id, and the step between two; 0 for none

	// plan says what a command on agents wants; multi tells whether it is being queued.
	plan func(args [][]byte, multi bool) (*plan, error)
	// handle performs any other command and writes its reply.
	handle func(x *executor, args [][]byte)
}

// table finds commands by their name in lower case.
type table map[string]*spec

const maxNameBytes = 32 // longer than any command's name

func newTable() table {
	t := table{}
	for _, family := range [][]spec{
		connectionCommands(), serverCommands(), stringCommands(), manyCommands(), keyCommands(),
		stateCommands(), multiCommands(),
	} {
		for i := range family {
			s := &family[i]
			if s.help != nil {
				s.handle = orHelp(s, s.handle)
			}
			t[s.name] = s
		}
	}
	return t
}

// orHelp makes a handler that also answers HELP.
func orHelp(s *spec, handle func(x *executor, args [][]byte)) func(x *executor, args [][]byte) {
	lines := append([]string{strings.ToUpper(s.name) + " <subcommand> [<arg> ...]. Subcommands are:"}, s.help...)
	lines = append(lines, "HELP: prints this help.")
	return func(x *executor, args [][]byte) {
		if len(args) != 2 || !is(args[1], "HELP") {
			handle(x, args)
			return
		}
		x.out.array(len(lines))
		for _, l := range lines {
			x.out.simple(l)
		}
	}
}

func (t table) lookup(name []byte) *spec {
	if len(name) > maxNameBytes {
		return nil
	}
	var buf [maxNameBytes]byte
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return t[string(buf[:len(name)])]
}

func (t table) takesMany(name []byte) bool {
	s := t.lookup(name)
	return s != nil && s.flags&flagMany != 0
}

// find gives the command that args call, or Redis's error.
func (t table) find(args [][]byte) (*spec, error) {
	s := t.lookup(args[0])
	switch {
	case s == nil:
		return nil, unknownCommand(args)
	case s.arity >= 0 && len(args) != s.arity, len(args) < -s.arity:
		return s, errArity(s.name)
	}
	return s, nil
}

func errArity(name string) error {
	return redisError("ERR wrong number of arguments for '" + name + "' command")
}

func errSubcommand(parent string, name []byte) error {
	return redisError(fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s HELP.", name, parent))
}

// unknownCommand quotes only the beginning of what came, which may be very long.
func unknownCommand(args [][]byte) error {
	const most = 128
	var b strings.Builder
	fmt.Fprintf(&b, "ERR unknown command '%.*s', with args beginning with: ", most, args[0])
	rest := most
	for _, arg := range args[1:] {
		if rest <= 0 {
			break
		}
		shown := arg[:min(len(arg), rest)]
		rest -= len(shown) + len("'' ")
		fmt.Fprintf(&b, "'%s' ", shown)
	}
	return redisError(b.String())
}

// is reports whether an argument is this word, in any case.
func is(arg []byte, word string) bool { return bytes.EqualFold(arg, []byte(word)) }
