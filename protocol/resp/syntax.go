package resp

import (
	"slices"
	"strings"
)

// argument is one argument of a command, as COMMAND DOCS describes it.
type argument struct {
	name     string
	kind     string // string, key, integer, pattern, pure-token, oneof or block
	token    string // the word in front of it
	optional bool
	multiple bool
	parts    []argument // of a oneof or block
}

// parseSyntax reads the one-line syntax of a command's arguments:
//
//	id json            arguments, one behind the other
//	NX                 a word that is written as it is
//	COUNT count        the same, and what belongs to it
//	[x]                x may be left out
//	[x | y], <x | y>   one of several
//	id [id ...]        id, any number of times
//
// The lines are constants of the table of commands. What is not of this form gives some other arguments; a test
// writes them all back.
func parseSyntax(line string) []argument {
	p := syntax{}
	for _, sign := range []string{"[", "]", "<", ">", "|"} {
		line = strings.ReplaceAll(line, sign, " "+sign+" ")
	}
	p.words = strings.Fields(line)
	return p.sequence()
}

type syntax struct{ words []string }

// next gives the next word, "" at the end.
func (p *syntax) next() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

// sequence reads arguments up to the end, or to a sign that ends them.
func (p *syntax) sequence() (args []argument) {
	for {
		word := p.next()
		switch word {
		case "", "]", ">", "|":
			return args
		}
		p.words = p.words[1:]
		switch {
		case word == "[":
			args = p.optional(args)
		case word == "<":
			args = append(args, oneOf(p.alternatives()))
		case isToken(word):
			args = append(args, p.withToken(word))
		default:
			args = append(args, plain(word))
		}
	}
}

// alternatives reads up to the closing sign.
func (p *syntax) alternatives() (all [][]argument) {
	for {
		all = append(all, p.sequence())
		end := p.next()
		if end == "" {
			return all
		}
		p.words = p.words[1:]
		if end != "|" {
			return all
		}
	}
}

// optional reads what is in brackets and adds it to the arguments before it: it may repeat the last of them.
func (p *syntax) optional(args []argument) []argument {
	all := p.alternatives()
	inner := all[0]
	n := len(inner) - 1
	if n < 1 || inner[n].name != "..." {
		one := oneOf(all)
		one.optional = true
		return append(args, one)
	}
	inner = inner[:n]
	if at := len(args) - n; at >= 0 && args[at].name == inner[0].name {
		args, inner = args[:at], slices.Clone(args[at:]) // the place is used again
	} else {
		inner[0].optional = true
	}
	one := block(inner)
	one.multiple = true
	return append(args, one)
}

// withToken reads what belongs to a token: the arguments up to the next one.
func (p *syntax) withToken(token string) argument {
	var own []argument
	for word := p.next(); word != "" && !strings.Contains("[]<>|", word) && !isToken(word); word = p.next() {
		own = append(own, plain(word))
		p.words = p.words[1:]
	}
	if len(own) == 0 {
		return argument{name: strings.ToLower(token), kind: "pure-token", token: token}
	}
	one := block(own)
	if len(own) > 1 {
		one.name = strings.ToLower(token)
	}
	one.token = token
	return one
}

func plain(name string) argument {
	kind := "string"
	switch name {
	case "id":
		kind = "key"
	case "pattern":
		kind = "pattern"
	case "revision", "cursor", "count", "limit", "index", "protover", "client-id":
		kind = "integer"
	}
	return argument{name: name, kind: kind}
}

// block makes one argument of several.
func block(args []argument) argument {
	if len(args) == 1 {
		return args[0]
	}
	return argument{name: "data", kind: "block", parts: args}
}

func oneOf(all [][]argument) argument {
	if len(all) == 1 {
		return block(all[0])
	}
	choice := argument{name: "choice", kind: "oneof"}
	for _, args := range all {
		choice.parts = append(choice.parts, block(args))
	}
	return choice
}

func isToken(word string) bool {
	return strings.ToUpper(word) == word && strings.ToLower(word) != word
}
