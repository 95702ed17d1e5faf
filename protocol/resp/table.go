package resp

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/stated/stated/protocol/auth"
)

// flags of a command.
type flags uint

const (
	flagWrite   flags = 1 << iota // can change the store
	flagRead                      // reads the store
	flagFast                      // takes about constant time
	flagNoAuth                    // works before authentication
	flagGate                      // what it does decides about the limits of what comes behind it
	flagMany                      // takes very many arguments
	flagMulti                     // can be queued in MULTI
	flagControl                   // works inside MULTI, instead of being queued
	flagInstant                   // its reply depends on no earlier command's outcome
	flagOrdered                   // keeps its reply in order itself
)

// spec is what there is to know about a command or a subcommand. Either plan or handle is set, or subs alone.
type spec struct {
	name   string // of a subcommand: with the command's before it, as in client|list
	arity  int    // arguments with the name; negative: at least so many
	flags  flags
	role   auth.Role // what a client needs to be; none for commands that work before authentication
	family string
	keys   [3]int // position of the first and last agent id, and the step between two; 0 for none
	subs   []spec

	args       string // the syntax of its arguments, see parseSyntax
	summary    string
	complexity string // empty: O(1)
	reply      string
	errors     string // codes beyond those that follow from the flags

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
		connectionCommands(), authCommands(), clientCommands(), serverCommands(), commandCommands(), stringCommands(),
		manyCommands(), keyCommands(), stateCommands(), multiCommands(),
	} {
		for i := range family {
			s := &family[i]
			if s.subs != nil {
				s.addHelp()
			}
			for j := range s.subs {
				s.subs[j].family = s.family
			}
			t[s.name] = s
		}
	}
	return t
}

// addHelp adds a subcommand that tells about the others.
func (s *spec) addHelp() {
	s.subs = append(s.subs, spec{
		name: s.name + "|help", arity: 2, role: s.role,
		summary: "Prints this help.", reply: "an array of lines",
	})
	lines := []string{strings.ToUpper(s.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for i := range s.subs {
		sub := &s.subs[i]
		lines = append(lines, strings.TrimSpace(strings.ToUpper(sub.word())+" "+sub.args), "    "+sub.summary)
	}
	s.subs[len(s.subs)-1].handle = func(x *executor, _ [][]byte) {
		x.out.array(len(lines))
		for _, l := range lines {
			x.out.simple(l)
		}
	}
}

// word is what calls a subcommand, or the name of a command.
func (s *spec) word() string { return s.name[strings.IndexByte(s.name, '|')+1:] }

// lower gives a word that may be a command's name in lower case.
func lower(word []byte, buf *[maxNameBytes]byte) []byte {
	if len(word) > maxNameBytes {
		return nil
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return buf[:len(word)]
}

// lookup gives the command of this name, or nil.
func (t table) lookup(name []byte) *spec {
	var buf [maxNameBytes]byte
	return t[string(lower(name, &buf))]
}

// named gives the command or subcommand of a full name, or nil.
func (t table) named(name []byte) *spec {
	command, word, sub := bytes.Cut(name, []byte{'|'})
	s := t.lookup(command)
	if s == nil || !sub {
		return s
	}
	return s.sub(word)
}

func (s *spec) sub(word []byte) *spec {
	for i := range s.subs {
		if is(word, s.subs[i].word()) {
			return &s.subs[i]
		}
	}
	return nil
}

func (t table) takesMany(name []byte) bool {
	s := t.lookup(name)
	return s != nil && s.flags&flagMany != 0
}

// called gives the command or subcommand that args call, or Redis's error. s is the command of the first word, nil if there
// is none.
func (s *spec) called(args [][]byte) (*spec, error) {
	if s == nil {
		return nil, unknownCommand(args)
	}
	if s.subs != nil && len(args) > 1 {
		sub := s.sub(args[1])
		if sub == nil {
			return s, errSubcommand(s.name, args[1])
		}
		s = sub
	}
	if s.arity >= 0 && len(args) != s.arity || len(args) < -s.arity {
		return s, errArity(s.name)
	}
	return s, nil
}

func errArity(name string) error {
	return redisError("ERR wrong number of arguments for '" + name + "' command")
}

func errSubcommand(parent string, name []byte) error {
	return redisError(fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s HELP.", name, strings.ToUpper(parent)))
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
