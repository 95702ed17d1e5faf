package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/stated/stated/protocol"
)

// statusOf gives the status of each code. Where it is not enough to tell what is wrong, see [status].
var statusOf = map[protocol.Code]int{
	protocol.CodeNotFound:        http.StatusNotFound,
	protocol.CodeConflict:        http.StatusPreconditionFailed,
	protocol.CodeInvalid:         http.StatusBadRequest,
	protocol.CodeUnauthenticated: http.StatusUnauthorized,
	protocol.CodeForbidden:       http.StatusForbidden,
	protocol.CodeOverloaded:      http.StatusServiceUnavailable,
	protocol.CodeLocked:          http.StatusServiceUnavailable,
	protocol.CodeCanceled:        statusClientClosedRequest,
	protocol.CodeUnknown:         http.StatusInternalServerError,
	protocol.CodeUnavailable:     http.StatusServiceUnavailable,
	protocol.CodeFull:            http.StatusInsufficientStorage,
	protocol.CodeIO:              http.StatusInternalServerError,
	protocol.CodeCorrupt:         http.StatusInternalServerError,
	protocol.CodeReadOnly:        http.StatusServiceUnavailable,
	protocol.CodeInternal:        http.StatusInternalServerError,
}

// statusClientClosedRequest is nginx's, for a client that did not wait. Hardly anybody sees it.
const statusClientClosedRequest = 499

// status is an error that has a status of its own.
type status struct {
	status int
	err    *protocol.Error
}

func (s status) Error() string { return s.err.Error() }
func (s status) Unwrap() error { return s.err }

// statusOfError gives the status that err is answered with.
func statusOfError(err error) int {
	var own status
	if errors.As(err, &own) {
		return own.status
	}
	e := protocol.AsError(err)
	if _, ok := e.Fact(protocol.FactTooLarge); ok {
		return http.StatusRequestEntityTooLarge
	}
	return statusOf[e.Code]
}

// problem is an error as RFC 9457 has it, with the facts as further members.
func problem(err error, requestID string) []byte {
	e, code := protocol.AsError(err), statusOfError(err)
	title := http.StatusText(code)
	if title == "" {
		title = "Client Closed Request"
	}
	b := []byte(`{"type":"about:blank"`)
	b = appendMember(b, "title", title)
	b = appendMember(b, "status", code)
	b = appendMember(b, "code", string(e.Code))
	b = appendMember(b, "detail", e.Message)
	b = appendMember(b, "outcome", string(e.Code.Outcome()))
	if requestID != "" {
		b = appendMember(b, "request_id", requestID)
	}
	return append(appendFacts(b, e), '}')
}

// appendFacts appends the facts of an error, whole numbers as such.
func appendFacts(b []byte, e *protocol.Error) []byte {
	for _, f := range e.Facts {
		if n, err := strconv.ParseInt(f.Value, 10, 64); err == nil && f.Value == strconv.FormatInt(n, 10) {
			b = appendMember(b, f.Key, n)
		} else {
			b = appendMember(b, f.Key, f.Value)
		}
	}
	return b
}

// appendMember appends one member behind another. Only texts and numbers come here.
func appendMember(b []byte, key string, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return append(append(append(append(b, `,"`...), key...), `":`...), text...)
}

// tooManyConnections is a whole reply, for a client that is not let in.
func tooManyConnections() []byte {
	body := problem(protocol.Errorf(protocol.CodeOverloaded,
		"there are too many connections (limits.connections): try again when others have left"), "")
	body = append(body, '\n')
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"+
		"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
