package protocol

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Code says what kind of error it is. Codes are stable: they go over the wire, and programs branch on them;
// the message beside them is for people. A Code is itself an error, so that errors.Is(err, CodeConflict) works.
type Code string

// The codes.
const (
	CodeNotFound        Code = "NOT_FOUND"       // no such agent
	CodeConflict        Code = "CONFLICT"        // a condition does not hold; FactCurrentRevision, in a transaction FactIndex
	CodeInvalid         Code = "INVALID"         // the request is wrong, and will be wrong next time
	CodeUnauthenticated Code = "UNAUTHENTICATED" // no token, or a wrong one
	CodeForbidden       Code = "FORBIDDEN"       // the token may not do this
	CodeOverloaded      Code = "OVERLOADED"      // not reached before the deadline; not applied
	CodeLocked          Code = "LOCKED"          // another process held the lock; not applied; FactAttempts, FactElapsed
	CodeCanceled        Code = "CANCELED"        // the caller gave up before its request was taken; not applied
	CodeUnknown         Code = "UNKNOWN"         // it may or may not have been applied: load before you try again
	CodeUnavailable     Code = "UNAVAILABLE"     // shutting down, or the store has failed; not applied
	CodeFull            Code = "FULL"            // no space on the disk; not applied
	CodeIO              Code = "IO"              // the disk failed; not applied
	CodeCorrupt         Code = "CORRUPT"         // the row or the file is damaged; not applied
	CodeReadOnly        Code = "READONLY"        // the file cannot be written; not applied
	CodeInternal        Code = "INTERNAL"        // a defect of stated; not applied
)

// Codes gives every code, in the order of the list above.
func Codes() []Code {
	return []Code{
		CodeNotFound, CodeConflict, CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeOverloaded, CodeLocked, CodeCanceled,
		CodeUnknown, CodeUnavailable, CodeFull, CodeIO, CodeCorrupt, CodeReadOnly, CodeInternal,
	}
}

// Error gives the code itself.
func (c Code) Error() string { return string(c) }

// Outcome is what an error says about its request.
type Outcome string

// The outcomes of a request that failed.
const (
	OutcomeNotApplied Outcome = "not_applied" // nothing of it was written
	OutcomeConflict   Outcome = "conflict"    // nothing of it was written, since a condition did not hold
	OutcomeUnknown    Outcome = "unknown"     // it may or may not have been written
)

// Outcome tells what the code says about its request.
func (c Code) Outcome() Outcome {
	switch c {
	case CodeConflict:
		return OutcomeConflict
	case CodeUnknown:
		return OutcomeUnknown
	default:
		return OutcomeNotApplied
	}
}

// Retryable reports whether the same request may succeed when it is sent again unchanged.
func (c Code) Retryable() bool {
	switch c {
	case CodeOverloaded, CodeLocked, CodeCanceled, CodeUnavailable:
		return true
	default:
		return false
	}
}

// Keys of the facts that errors carry.
const (
	FactCurrentRevision = "current_revision" // CONFLICT: revision of the agent; 0 when there is none
	FactIndex           = "index"            // CONFLICT: which operation of the transaction, from 0
	FactAttempts        = "attempts"         // LOCKED: how often the lock was tried
	FactElapsed         = "elapsed"          // LOCKED: for how long, as a Go duration
	FactOffset          = "offset"           // INVALID: byte of the state
	FactTooLarge        = "too_large"        // INVALID: 1 when something is larger than its limit
	FactOwner           = "owner_pid"        // UNAVAILABLE: the process that owns the file
)

// Fact is one machine-readable detail of an error. Neither key nor value contains a space.
type Fact struct{ Key, Value string }

// Error is the one error type that crosses stated's borders.
type Error struct {
	Code    Code
	Message string // one sentence for people, without the facts
	Facts   []Fact // in a fixed order
	Err     error  // the cause, for errors.Is and the log; never sent to a client
}

// Errorf makes an Error. As with fmt.Errorf, %w keeps a cause, one at the most; its text is part of the message.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// With gives a copy of the error with one more fact.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Facts = append(append([]Fact(nil), e.Facts...), Fact{key, value})
	return &c
}

// Because gives a copy of the error with a cause that its message does not show.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Err = cause
	return &c
}

// Error gives the code, the facts and the message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	for _, f := range e.Facts {
		b.WriteString(" " + f.Key + "=" + f.Value)
	}
	b.WriteString(": " + e.Message)
	return b.String()
}

// Unwrap makes errors.Is find the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// Fact looks a fact up by its key.
func (e *Error) Fact(key string) (string, bool) {
	for _, f := range e.Facts {
		if f.Key == key {
			return f.Value, true
		}
	}
	return "", false
}

// CodeOf gives the code of err: "" for nil, INTERNAL for an error that carries none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// AsError gives err as an Error. An error from outside this vocabulary becomes INTERNAL, with a message that
// gives nothing away, except that of an ended context: that is CANCELED.
func AsError(err error) *Error {
	var e *Error
	var code Code
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.As(err, &code):
		return Errorf(code, "%s", string(code))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Errorf(CodeCanceled, "the caller gave up").Because(err)
	default:
		return Errorf(CodeInternal, "internal error, see the log").Because(err)
	}
}

// CurrentRevision gives the revision that a CONFLICT found, 0 when the agent does not exist.
func CurrentRevision(err error) (int64, bool) {
	n, ok := intFact(err, FactCurrentRevision)
	return n, ok
}

// ConflictIndex gives the operation of a transaction whose condition did not hold.
func ConflictIndex(err error) (int, bool) {
	n, ok := intFact(err, FactIndex)
	return int(n), ok
}

func intFact(err error, key string) (int64, bool) {
	var e *Error
	if !errors.As(err, &e) {
		return 0, false
	}
	text, ok := e.Fact(key)
	if !ok {
		return 0, false
	}
	n, parse := strconv.ParseInt(text, 10, 64)
	return n, parse == nil
}

// NotFound is the error of a load that found nothing.
func NotFound(id string) *Error { return Errorf(CodeNotFound, "there is no agent %q", id) }

// Conflict is the error of a condition that does not hold for an agent of this revision (0: there is none).
func Conflict(op *Op, current int64) *Error {
	state := "does not exist"
	if current != 0 {
		state = "has revision " + strconv.FormatInt(current, 10)
	}
	return Errorf(CodeConflict, "agent %q %s, the condition was: %s", op.ID(), state, op.Condition()).
		With(FactCurrentRevision, strconv.FormatInt(current, 10))
}
