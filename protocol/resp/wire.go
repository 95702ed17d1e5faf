package resp

import (
	"strings"

	"github.com/stated/stated/protocol"
)

// Redis's own words, where Redis's clients expect them. Every other code is its own word on the wire. This file
// is the only place that knows both.
var (
	wordOfCode = map[protocol.Code]string{
		protocol.CodeUnauthenticated: "NOAUTH",
		protocol.CodeForbidden:       "NOPERM",
	}
	codeOfWord = map[string]protocol.Code{
		"ERR":       protocol.CodeInvalid,
		"NOPROTO":   protocol.CodeInvalid,
		"EXECABORT": protocol.CodeInvalid,
		"NOAUTH":    protocol.CodeUnauthenticated,
		"WRONGPASS": protocol.CodeUnauthenticated,
		"NOPERM":    protocol.CodeForbidden,
	}
	knownCodes = codeSet(protocol.Codes()...)
)

func codeSet(codes ...protocol.Code) map[string]bool {
	set := make(map[string]bool, len(codes))
	for _, c := range codes {
		set[string(c)] = true
	}
	return set
}

const (
	errSyntax     = redisError("ERR syntax error")
	errNotInteger = redisError("ERR value is not an integer or out of range")
	errMaxClients = redisError("ERR max number of clients reached")
	errHTTP       = redisError("ERR this is the Redis protocol, not HTTP")
	errLateAuth   = redisError("NOAUTH Authentication required: the client did not authenticate in time, closing")
	errExecAbort  = redisError("EXECABORT Transaction discarded because of previous errors.")
)

// redisError is an error in Redis's own words, as it goes over the wire.
type redisError string

func (e redisError) Error() string { return string(e) }

// errorLine gives an error as it goes over the wire: the code, the facts, the message.
func errorLine(err error) string {
	switch e := err.(type) { //nolint:errorlint // these two are made here and never wrapped
	case redisError:
		return string(e)
	case protocolError:
		return "ERR " + e.Error()
	}
	e := protocol.AsError(err)
	var b strings.Builder
	if word, ok := wordOfCode[e.Code]; ok {
		b.WriteString(word)
	} else {
		b.WriteString(string(e.Code))
	}
	for _, f := range e.Facts {
		b.WriteString(" " + f.Key + "=" + f.Value)
	}
	if first, _, _ := strings.Cut(e.Message, " "); isFact(first) {
		b.WriteString(" :") // else a client would take it for one more
	}
	b.WriteString(" " + e.Message)
	return b.String()
}

// parseErrorLine is the inverse of errorLine.
func parseErrorLine(line string) *protocol.Error {
	word, rest, _ := strings.Cut(line, " ")
	e := &protocol.Error{Code: protocol.CodeInternal, Message: line}
	switch {
	case line == string(errMaxClients):
		return &protocol.Error{Code: protocol.CodeUnavailable, Message: rest}
	case knownCodes[word]:
		e.Code, e.Message = protocol.Code(word), rest
	case codeOfWord[word] != "":
		e.Code, e.Message = codeOfWord[word], rest
		if wordOfCode[e.Code] != word {
			return e // Redis itself knows no facts
		}
	default:
		return e
	}
	for {
		token, after, _ := strings.Cut(e.Message, " ")
		if !isFact(token) {
			return e
		}
		key, value, _ := strings.Cut(token, "=")
		e.Facts = append(e.Facts, protocol.Fact{Key: key, Value: value})
		e.Message = after
	}
}

func isFact(token string) bool {
	key, _, ok := strings.Cut(token, "=")
	for i := 0; i < len(key); i++ {
		if (key[i] < 'a' || key[i] > 'z') && key[i] != '_' {
			return false
		}
	}
	return ok && key != ""
}
