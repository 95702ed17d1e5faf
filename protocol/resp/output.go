package resp

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// output writes replies, in RESP2 or RESP3. Without a connection it only collects them.
type output struct {
	buf     []byte
	proto   int // 2 or 3
	conn    net.Conn
	timeout time.Duration // for each flush
	err     error         // the first failed flush; nothing is written after it
}

func (o *output) line(kind byte, s string) {
	o.buf = append(o.buf, kind)
	o.buf = append(o.buf, s...)
	o.buf = append(o.buf, '\r', '\n')
}

func (o *output) number(kind byte, n int64) {
	o.buf = append(o.buf, kind)
	o.buf = strconv.AppendInt(o.buf, n, 10)
	o.buf = append(o.buf, '\r', '\n')
}

var noBreaks = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ")

func (o *output) simple(s string)     { o.line('+', noBreaks.Replace(s)) }
func (o *output) ok()                 { o.line('+', "OK") }
func (o *output) failText(s string)   { o.line('-', noBreaks.Replace(s)) }
func (o *output) fail(err error)      { o.failText(errorLine(err)) }
func (o *output) int(n int64)         { o.number(':', n) }
func (o *output) array(n int)         { o.number('*', int64(n)) }
func (o *output) bulkString(s string) { o.number('$', int64(len(s))); o.text(s) }

// bulk writes a bulk string. A large one goes out without being copied.
func (o *output) bulk(b []byte) {
	o.number('$', int64(len(b)))
	if o.conn == nil || len(b) < writeBuffer {
		o.buf = append(o.buf, b...)
	} else {
		o.flush()
		o.write(b)
	}
	o.buf = append(o.buf, '\r', '\n')
	o.flushIfLarge()
}

func (o *output) text(s string) {
	o.buf = append(o.buf, s...)
	o.buf = append(o.buf, '\r', '\n')
	o.flushIfLarge()
}

// verbatim writes text that is meant to be read by people.
func (o *output) verbatim(s string) {
	if o.proto < 3 {
		o.bulkString(s)
		return
	}
	o.number('=', int64(len(s)+len("txt:")))
	o.text("txt:" + s)
}

// null writes the reply for "no such value".
func (o *output) null() { o.none("$-1\r\n") }

// nullArray writes the reply for "no such value" of commands that otherwise answer an array.
func (o *output) nullArray() { o.none("*-1\r\n") }

func (o *output) none(resp2 string) {
	if o.proto < 3 {
		o.buf = append(o.buf, resp2...)
		return
	}
	o.buf = append(o.buf, "_\r\n"...)
}

// mapOf begins a map of n pairs; in RESP2 it is an array of keys and values.
func (o *output) mapOf(n int) {
	if o.proto < 3 {
		o.array(2 * n)
		return
	}
	o.number('%', int64(n))
}

// setOf writes a set of words; in RESP2 it is an array.
func (o *output) setOf(words []string) {
	if o.proto < 3 {
		o.array(len(words))
	} else {
		o.number('~', int64(len(words)))
	}
	for _, w := range words {
		o.simple(w)
	}
}

// millis writes a time as milliseconds since 1970, or null for one that is not known.
func (o *output) millis(t time.Time) {
	if t.IsZero() {
		o.null()
		return
	}
	o.int(t.UnixMilli())
}

func (o *output) bool(b bool) {
	if b {
		o.int(1)
		return
	}
	o.int(0)
}

func (o *output) flushIfLarge() {
	if o.conn != nil && len(o.buf) >= writeBuffer {
		o.flush()
	}
}

// flush sends what was collected. It blocks until the client took it, for the timeout at most.
func (o *output) flush() {
	if len(o.buf) == 0 {
		return
	}
	o.write(o.buf)
	o.buf = o.buf[:0]
	if cap(o.buf) > 2*writeBuffer {
		o.buf = nil
	}
}

func (o *output) write(b []byte) {
	if o.err != nil {
		return
	}
	if o.err = o.conn.SetWriteDeadline(time.Now().Add(o.timeout)); o.err == nil {
		_, o.err = o.conn.Write(b)
	}
}

// tooLarge is the error for a reply that exceeds the limit.
func tooLarge(bytes, most int, instead string) error {
	return protocol.Errorf(protocol.CodeInvalid,
		"the reply has %d bytes or more, at most %d are allowed (limits.output_bytes): %s", bytes, most, instead).
		With(protocol.FactTooLarge, "1")
}
