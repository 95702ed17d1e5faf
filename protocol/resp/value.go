package resp

import (
	"bufio"
	"errors"
	"io"
	"math"
	"strconv"
)

// value is one reply, of RESP2 or RESP3, as the client reads it.
type value struct {
	kind  byte // the type byte on the wire; '_' for every null
	text  []byte
	n     int64
	elems []value
}

func (v *value) isNull() bool  { return v.kind == '_' }
func (v *value) isError() bool { return v.kind == '-' || v.kind == '!' }

var errReply = errors.New("what answers does not speak the Redis protocol as stated does")

const (
	maxReplyBytes = 1 << 30 // of one bulk string; more is no reply of a server of ours
	maxReplyDepth = 16
	maxReplyElems = 16 << 20
)

// valueReader reads replies.
type valueReader struct{ r *bufio.Reader }

// open is an aggregate whose elements are still to come.
type open struct {
	value value
	left  int64
}

// next reads one reply. Aggregates are kept on a stack of their own, so that their depth is bounded, and their
// elements are appended as they come, so that no announced number takes memory.
func (v valueReader) next() (value, error) {
	var stack []open
	for {
		one, left, err := v.element()
		if err != nil {
			if len(stack) > 0 {
				err = unexpected(err)
			}
			return value{}, err
		}
		if left > 0 {
			if len(stack) == maxReplyDepth {
				return value{}, errReply
			}
			stack = append(stack, open{one, left})
			continue
		}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			top.value.elems = append(top.value.elems, one)
			if top.left--; top.left > 0 {
				break
			}
			one = top.value
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 {
			return one, nil
		}
	}
}

// element reads one value, or the head of an aggregate and how many elements follow.
func (v valueReader) element() (value, int64, error) {
	line, err := v.line()
	if err != nil {
		return value{}, 0, err
	}
	one := value{kind: line[0]}
	rest := line[1:]
	switch line[0] {
	case '+', '-', ',', '(', '#':
		one.text = append([]byte(nil), rest...)
		return one, 0, nil
	case '_':
		return one, 0, nil
	case ':', '$', '=', '!', '*', '~', '>', '%':
		if one.n, err = strconv.ParseInt(string(rest), 10, 64); err != nil {
			return value{}, 0, errReply
		}
	default:
		return value{}, 0, errReply
	}
	return v.sized(one)
}

// sized reads what belongs to a number: nothing, as many bytes, or as many elements.
func (v valueReader) sized(one value) (value, int64, error) {
	switch one.kind {
	case ':':
		return one, 0, nil
	case '$', '=', '!':
		if one.n == -1 {
			return value{kind: '_'}, 0, nil
		}
		text, err := v.text(one.n)
		return value{kind: one.kind, text: text}, 0, err
	}
	if one.n == -1 {
		return value{kind: '_'}, 0, nil
	}
	if one.n < 0 || one.n > maxReplyElems {
		return value{}, 0, errReply
	}
	left := one.n
	if one.kind == '%' {
		left *= 2
	}
	return value{kind: one.kind}, left, nil
}

func (v valueReader) line() ([]byte, error) {
	line, err := v.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errReply
	case err != nil:
		return nil, err
	case len(line) < 3 || line[len(line)-2] != '\r':
		return nil, errReply
	}
	return line[:len(line)-2], nil
}

// text reads n bytes and the line break behind them, in growing steps.
func (v valueReader) text(n int64) ([]byte, error) {
	if n < 0 || n > min(maxReplyBytes, math.MaxInt-2) {
		return nil, errReply
	}
	text := make([]byte, 0, min(n+2, growStep))
	for int64(len(text)) < n+2 {
		at := len(text)
		if at == cap(text) {
			grown := make([]byte, at, min(n+2, int64(2*at)))
			copy(grown, text)
			text = grown
		}
		text = text[:cap(text)]
		if _, err := io.ReadFull(v.r, text[at:]); err != nil {
			return nil, unexpected(err)
		}
	}
	if text[n] != '\r' || text[n+1] != '\n' {
		return nil, errReply
	}
	return text[:n:n], nil
}
