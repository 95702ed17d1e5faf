package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
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
func ValidateState(state []byte) error { return (document{"state", MaxDepth}).validate(state) }

// ValidateBody is [ValidateState] for a document that has states somewhere inside, such as a transaction: it may be a
// few levels deeper.
func ValidateBody(body []byte) error { return (document{"the body", MaxDepth + 8}).validate(body) }

// document is a kind of JSON document: what people call it, and how deep it may be.
type document struct {
	name  string
	depth int
}

func (d document) validate(text []byte) error {
	if len(text) == 0 {
		return d.notJSON(0, "it is empty")
	}
	at, deep := deeperThan(text, d.depth)
	switch {
	// gjson takes a third of the time, but descends as deep as the text does.
	case (deep || !gjson.ValidBytes(text)) && !json.Valid(text):
		return d.syntaxError(text)
	case !utf8.Valid(text):
		return d.notJSON(invalidUTF8At(text), "invalid UTF-8")
	case deep:
		return d.tooDeep(at)
	default:
		return nil
	}
}

func (d document) notJSON(at int, why string) error {
	return Errorf(CodeInvalid, "%s is not JSON at byte %d: %s", d.name, at, why).With(FactOffset, strconv.Itoa(at))
}

func (d document) tooDeep(at int) error {
	return d.notJSON(at, "more than "+strconv.Itoa(d.depth)+" levels deep")
}

// syntaxError finds out what is wrong with a text that json.Valid refused, and where.
func (d document) syntaxError(text []byte) error {
	var value json.RawMessage
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(text, &value), &syntax) {
		return d.notJSON(0, "not a JSON value")
	}
	// Offset counts the bytes read, the offending one included.
	at := max(0, min(int(syntax.Offset), len(text))-1)
	if deep, ok := deeperThan(text[:at+1], d.depth); ok { // json has a limit of its own, which is higher
		return d.tooDeep(deep)
	}
	// At the end json reads one more byte, a space that is not there.
	const end = "unexpected end of JSON input"
	if syntax.Error() == end || strings.HasPrefix(syntax.Error(), "invalid character ' '") && text[at] != ' ' {
		return d.notJSON(len(text), end)
	}
	return d.notJSON(at, syntax.Error())
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

// deeperThan finds the byte at which JSON goes deeper than most levels. In a text that is not JSON it finds every such
// byte that lies before the first mistake.
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
