package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
)

// This file takes apart JSON that is known to be valid. It copies nothing: what it gives are pieces of the document. A
// decoder would copy each value once for each level around it, and make a slice out of each of the millions of numbers
// that fit into a list of the size of a body.

// cut gives the first value of a text, without the blanks around it, and what follows.
func cut(text []byte) (value, rest []byte) {
	text = trim(text)
	end := 0
	switch {
	case len(text) == 0:
	case text[0] == '"':
		end = stringEnd(text)
	case text[0] == '{' || text[0] == '[':
		end = bracketEnd(text)
	default:
		for end < len(text) && !isBlank(text[end]) && text[end] != ',' && text[end] != ']' && text[end] != '}' {
			end++
		}
	}
	return text[:end:end], trim(text[end:])
}

func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func bracketEnd(text []byte) int {
	for i, depth := 0, 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

func trim(text []byte) []byte {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	return text
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// eachItem calls f for each value of a JSON list. It returns false if that is none.
func eachItem(list []byte, f func(item json.RawMessage)) bool {
	if list[0] != '[' {
		return false
	}
	for rest := trim(list[1:]); rest[0] != ']'; {
		var item []byte
		if item, rest = cut(rest); rest[0] == ',' {
			rest = trim(rest[1:])
		}
		f(item)
	}
	return true
}

// eachMember calls f for each member of a JSON object, which has each name once.
func eachMember(object []byte, f func(name string, value json.RawMessage) error) error {
	if object[0] != '{' {
		return errors.New("is not an object")
	}
	seen := map[string]bool{}
	for rest := trim(object[1:]); rest[0] != '}'; {
		var quoted, value []byte
		quoted, rest = cut(rest)
		if value, rest = cut(rest[1:]); rest[0] == ',' { // behind the colon
			rest = trim(rest[1:])
		}
		var name string
		if err := json.Unmarshal(quoted, &name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("the field %.64q is there twice", name)
		}
		seen[name] = true
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}
