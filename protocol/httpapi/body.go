package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// boundBody gives the client the time to send its body, and to take the word that it may (Expect: 100-continue). A
// request without one gets no deadline, and [exchange.body] takes it away: net/http goes on reading to see the client
// leave, and would stop that when it passes.
func (x *exchange) boundBody() {
	if x.r.ContentLength == 0 {
		return
	}
	until := x.begun.Add(x.s.opts.RequestTimeout)
	control := http.NewResponseController(x.w) // not every writer has deadlines: those in tests do not
	_, _ = control.SetReadDeadline(until), control.SetWriteDeadline(until)
}

// body reads the whole body, of at most so many bytes, which the key of the configuration bounds.
func (x *exchange) body(most int, key string) ([]byte, error) {
	if coding := strings.Join(x.r.Header.Values("Content-Encoding"), ", "); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, status{http.StatusUnsupportedMediaType, protocol.Errorf(protocol.CodeInvalid,
			"Content-Encoding is %.64q: bodies have to come as they are", coding)}
	}
	if x.r.ContentLength > int64(most) {
		x.set("Connection", "close")
		return nil, tooLarge(most, key)
	}
	room := int64(1 << 10)
	if announced := x.r.ContentLength; announced >= 0 { // one byte more, to see the end
		room = min(announced+1, freeBodyBytes)
	}
	buf := make([]byte, 0, room)
	for {
		if len(buf) == cap(buf) {
			var err error
			if buf, err = x.grow(buf, most); err != nil {
				return nil, err
			}
		}
		n, err := x.r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > most:
			x.set("Connection", "close")
			return nil, tooLarge(most, key)
		case errors.Is(err, io.EOF):
			x.taken = true
			_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{})
			return buf, nil
		case err != nil:
			x.taken = true
			x.set("Connection", "close")
			return nil, broken(err)
		}
	}
}

// grow doubles the buffer, so that it follows what has come and not what was announced. It leaves room for one byte
// more than is allowed, and reserves what is not free.
func (x *exchange) grow(buf []byte, most int) ([]byte, error) {
	size := min(2*cap(buf), most+1)
	if announced := x.r.ContentLength; announced >= int64(len(buf)) {
		size = min(size, int(announced)+1)
	}
	if more := size - max(cap(buf), freeBodyBytes); more > 0 {
		if !x.s.opts.Inflight.TryAcquire(more) {
			if err := x.s.opts.Inflight.Acquire(x.ctx, more); err != nil {
				x.set("Connection", "close")
				return nil, err
			}
		}
		x.held += more
	}
	return append(make([]byte, 0, size), buf...), nil
}

// release gives back what was reserved for the body.
func (x *exchange) release() {
	if x.held > 0 {
		x.s.opts.Inflight.Release(x.held)
		x.held = 0
	}
}

// leavesMuch reports whether so much of the body may still come that the connection is of no more use. Of less, net/http
// takes the rest before it writes the reply.
func (x *exchange) leavesMuch() bool {
	return !x.taken && (x.r.ContentLength < 0 || x.r.ContentLength > maxUnread)
}

// linger takes what the client goes on sending although it was refused, and drops it: one that sends its whole body before
// it reads would get a broken connection in place of the reply. It blocks for the time that a body may take, at most, and
// no longer than until the server shuts down.
func (x *exchange) linger() {
	if !x.leavesMuch() || x.r.Header.Get("Expect") != "" {
		return
	}
	x.release()
	control := http.NewResponseController(x.w)
	if control.Flush() != nil {
		return
	}
	defer context.AfterFunc(x.s.leaving, func() { _ = control.SetReadDeadline(time.Now()) })()
	if c := connOf(x.r.Context()); c != nil {
		_ = c.CloseWrite() // one that reads need not wait
	}
	_, _ = io.CopyN(io.Discard, x.r.Body, int64(x.s.opts.RequestBytes))
}

func tooLarge(most int, key string) error {
	return protocol.Errorf(protocol.CodeInvalid, "the body has more than %d bytes (%s)", most, key).With(protocol.FactTooLarge, "1")
}

// broken is the error of a body that did not come to its end.
func broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return status{http.StatusRequestTimeout, protocol.Errorf(protocol.CodeCanceled,
			"the body did not come in time (timeouts.request)").Because(errors.Join(err, context.DeadlineExceeded))}
	}
	return status{http.StatusBadRequest, protocol.Errorf(protocol.CodeCanceled, "the body ended early").Because(err)}
}
