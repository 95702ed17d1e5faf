package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ValidateID returns INVALID unless id can name an agent: valid UTF-8, 1 to [MaxIDBytes] bytes, no control
// characters (below U+0020, and U+007F).
func ValidateID(id string) error {
	if id == "" {
		return Errorf(CodeInvalid, "the agent id is empty")
	}
	return validateIDPart("agent id", id)
}

func validateIDPart(what, s string) error {
	if len(s) > MaxIDBytes {
		return Errorf(CodeInvalid, "the %s has %d bytes, at most %d are allowed", what, len(s), MaxIDBytes)
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return Errorf(CodeInvalid, "the %s has the control character 0x%02x at byte %d", what, s[i], i)
		}
	}
	if !utf8.ValidString(s) {
		return Errorf(CodeInvalid, "the %s is not valid UTF-8 at byte %d", what, invalidUTF8At([]byte(s)))
	}
	return nil
}

// ValidateState returns INVALID, with the offset of the offending byte, unless state is exactly one JSON value
// in valid UTF-8, at most [MaxDepth] levels deep. The size is the business of [Op.CheckStateBytes].
func ValidateState(state []byte) error {
	if len(state) == 0 {
		return notJSON(0, "it is empty")
	}
	if !json.Valid(state) {
		return syntaxError(state)
	}
	if !utf8.Valid(state) {
		return notJSON(invalidUTF8At(state), "invalid UTF-8")
	}
	if at, ok := deeperThan(state, MaxDepth); ok {
		return notJSON(at, tooDeep)
	}
	return nil
}

var tooDeep = "more than " + strconv.Itoa(MaxDepth) + " levels deep"

func notJSON(at int, why string) error {
	return Errorf(CodeInvalid, "state is not JSON at byte %d: %s", at, why).With(FactOffset, strconv.Itoa(at))
}

// syntaxError finds out what is wrong with a state that json.Valid refused, and where.
func syntaxError(state []byte) error {
	var value json.RawMessage
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(state, &value), &syntax) {
		return notJSON(0, "not a JSON value")
	}
	// Offset counts the bytes read, the offending one included.
	at := max(0, min(int(syntax.Offset), len(state))-1)
	if deep, ok := deeperThan(state[:at+1], MaxDepth); ok { // json has a limit of its own, which is higher
		return notJSON(deep, tooDeep)
	}
	// At the end json reads one more byte, a space that is not there.
	const end = "unexpected end of JSON input"
	if syntax.Error() == end || strings.HasPrefix(syntax.Error(), "invalid character ' '") && state[at] != ' ' {
		return notJSON(len(state), end)
	}
	return notJSON(at, syntax.Error())
}

func invalidUTF8At(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// deeperThan finds the byte at which valid JSON goes deeper than most levels.
func deeperThan(state []byte, most int) (int, bool) {
	// Most states have fewer brackets in all than levels are allowed; counting them is much quicker than looking.
	if bytes.Count(state, []byte{'['})+bytes.Count(state, []byte{'{'}) <= most {
		return 0, false
	}
	depth, inString := 0, false
	for i := 0; i < len(state); i++ {
		switch c := state[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > most {
				return i, true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return 0, false
}
