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
	knownCodes = codeSet(
		protocol.CodeNotFound, protocol.CodeConflict, protocol.CodeInvalid, protocol.CodeUnauthenticated,
		protocol.CodeForbidden, protocol.CodeOverloaded, protocol.CodeLocked, protocol.CodeCanceled,
		protocol.CodeUnknown, protocol.CodeUnavailable, protocol.CodeFull, protocol.CodeIO, protocol.CodeCorrupt,
		protocol.CodeReadOnly, protocol.CodeInternal)
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
		return e
	default:
		return e
	}
	for {
		token, after, _ := strings.Cut(e.Message, " ")
		key, value, ok := strings.Cut(token, "=")
		if !ok || !isFactKey(key) {
			return e
		}
		e.Facts = append(e.Facts, protocol.Fact{Key: key, Value: value})
		e.Message = after
	}
}

func isFactKey(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < 'a' || s[i] > 'z') && s[i] != '_' {
			return false
		}
	}
	return s != ""
}
