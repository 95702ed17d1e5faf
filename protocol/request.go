package protocol

import (
	"sync/atomic"
	"time"
)

// The life of a request: it waits until the writer takes it, which happens under the store's write lock. Until
// then its caller can leave and be certain that nothing was applied.
const (
	requestWaiting int32 = iota
	requestTaken
	requestLeft
)

// Request is an operation on its way to a [Handler]. It is used once.
type Request struct {
	op      Op
	started time.Time
	state   atomic.Int32
	reply   chan Reply
}

// NewRequest makes the request for an operation.
func NewRequest(op Op) *Request {
	return &Request{op: op, started: time.Now(), reply: make(chan Reply, 1)}
}

// Op is the operation. It must not be changed.
func (r *Request) Op() *Op { return &r.op }

// Started is when the request was made.
func (r *Request) Started() time.Time { return r.started }

// Reply is where the answer arrives, exactly once. A handler that is gone answers nothing more, so a program
// that sends requests over a channel waits for the handler's Done channel beside this one.
func (r *Request) Reply() <-chan Reply { return r.reply }

// Leave is called by a caller that stops waiting. True means that the request was not taken and never will be:
// nothing was applied. False means that its outcome is unknown; the reply may still arrive. Only the first call tells.
func (r *Request) Leave() bool {
	for {
		switch r.state.Load() {
		case requestWaiting:
			if r.state.CompareAndSwap(requestWaiting, requestLeft) {
				return true
			}
		case requestTaken:
			if r.state.CompareAndSwap(requestTaken, requestLeft) {
				return false
			}
		default:
			return false // it was left before
		}
	}
}

// Take is called by a handler that is about to apply the request. False means that the caller has left.
func (r *Request) Take() bool { return r.state.CompareAndSwap(requestWaiting, requestTaken) }

// Release is called by a handler that has rolled back what it took: the request waits again. False means that
// the caller has left meanwhile.
func (r *Request) Release() bool { return r.state.CompareAndSwap(requestTaken, requestWaiting) }

// Answer is called by a handler with what became of the request. It never blocks; the first answer counts.
func (r *Request) Answer(reply Reply) {
	select {
	case r.reply <- reply:
	default:
	}
}
