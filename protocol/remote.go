package protocol

import (
	"context"
	"errors"
)

// This file is what all clients have in common whose handler is at the other end of a wire.

// Await gives the reply to a request that such a client has started, or, when ctx ends first, the error that says
// whether it was sent: see [NotSent] and [NoReply].
func Await(ctx context.Context, r *Request) Reply {
	select {
	case reply := <-r.Reply():
		return reply
	default:
	}
	select {
	case reply := <-r.Reply():
		return reply
	case <-ctx.Done():
	}
	if r.Leave() {
		return Reply{Err: NotSent(ctx)}
	}
	select {
	case reply := <-r.Reply(): // it came at the last moment
		return reply
	default:
	}
	return Reply{Err: NoReply(ctx, r.Op().Writes())}
}

// NotSent is the error of a request that was not sent before its context ended: OVERLOADED or CANCELED.
func NotSent(ctx context.Context) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Errorf(CodeOverloaded, "not sent before the deadline").Because(WhyEnded(ctx))
	}
	return Errorf(CodeCanceled, "the caller gave up before the request was sent").Because(WhyEnded(ctx))
}

// NoReply is the error of a request that was sent before its context ended: UNKNOWN if it writes, else CANCELED.
func NoReply(ctx context.Context, writes bool) *Error {
	if writes {
		return Errorf(CodeUnknown, "the caller gave up after the request was sent: it may or may not have been applied").
			Because(WhyEnded(ctx))
	}
	return Errorf(CodeCanceled, "the caller gave up before the reply came").Because(WhyEnded(ctx))
}

// ClientClosed is the error of a request to a client that was closed.
func ClientClosed() *Error { return Errorf(CodeUnavailable, "the client is closed") }

// WhyEnded keeps both, the error of a context and the cause that its owner gave.
func WhyEnded(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() { //nolint:errorlint // is it the very same
		return errors.Join(ctx.Err(), cause)
	}
	return ctx.Err()
}
