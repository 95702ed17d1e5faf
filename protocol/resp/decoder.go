package resp

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// protocolError is input that is no command. The connection cannot go on after it: where the next command
// would begin is not known.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// errBrowser is the first word of an HTTP request: a page that a browser shows tries to talk to us.
var errBrowser = errors.New("resp: the input is HTTP")

// limits are what a decoder accepts. They are not the same before and after AUTH.
type limits struct {
	args     int  // arguments, without the command's name
	manyArgs int  // the same for commands over many agents
	bytes    int  // of one command
	line     int  // of one inline command
	stranger bool // they are those of a client that has yet to authenticate
}

// Redis's words for what such a client may not send.
const (
	errStrangerArgs = protocolError("unauthenticated multibulk length")
	errStrangerBulk = protocolError("unauthenticated bulk length")
)

func (l limits) tooManyArgs() error {
	if l.stranger {
		return errStrangerArgs
	}
	return protocolError("too many arguments: at most " + strconv.Itoa(l.args) + " are allowed here")
}

// decoder reads commands: arrays of bulk strings and inline commands. It keeps nothing between two commands but
// its buffer.
type decoder struct {
	r      *bufio.Reader
	limits limits
	// current, if set, gives the limits anew when a command begins to come.
	current func() limits
	// many reports whether a command takes manyArgs arguments.
	many func(name []byte) bool
	// reserve is called before memory for n more bytes of the current command is allocated.
	reserve func(n int) error

	arena []byte // the arguments, one behind the other
	ends  []int  // where each argument ends in arena
	used  int    // reserved for the current command
}

// command is what a decoder read. Its arguments share one allocation.
type command struct {
	args [][]byte
	size int // bytes that were reserved for it
	// spec is what the first word calls, nil if there is no such command.
	spec *spec
	// performed, if it is set, is closed when the command was performed.
	performed chan struct{}
	// last is an error that ends the connection, in place of a command.
	last error
	few  [4][]byte // args, as long as there are no more
}

const (
	commandOverhead = 96  // bytes of a command without arguments
	argOverhead     = 32  // bytes of an argument beyond its text
	opOverhead      = 368 // bytes of what becomes of an argument of a command over many agents: operation, reply
	firstArena      = 256
	growStep        = 16 << 10 // how much may be allocated before any of it came
)

// next reads one command. Empty ones are left out. After an error, used tells what stays reserved.
func (d *decoder) next() (*command, error) {
	for {
		d.arena, d.ends, d.used = nil, d.ends[:0], 0
		if cap(d.ends) > maxArgs {
			d.ends = nil // a rare large command must not be paid for by an idle connection
		}
		first, err := d.r.Peek(1)
		if err != nil {
			return nil, err
		}
		if d.current != nil {
			d.limits = d.current()
		}
		if first[0] == '*' {
			err = d.array()
		} else {
			err = d.inline()
		}
		if err != nil {
			return nil, err
		}
		if len(d.ends) > 0 {
			return d.finish(), nil
		}
		if err := d.take(-d.used); err != nil { // an empty line
			return nil, err
		}
	}
}

// finish cuts the arena into arguments.
func (d *decoder) finish() *command {
	c := &command{size: d.used}
	if len(d.ends) <= len(c.few) {
		c.args = c.few[:len(d.ends):len(d.ends)]
	} else {
		c.args = make([][]byte, len(d.ends))
	}
	start := 0
	for i, end := range d.ends {
		c.args[i] = d.arena[start:end:end]
		start = end
	}
	d.arena = nil
	return c
}

func (d *decoder) array() error {
	n, err := d.header('*', "multibulk")
	if err != nil || n <= 0 {
		return err
	}
	switch {
	case n <= int64(max(d.limits.manyArgs, d.limits.args))+1:
	case d.limits.stranger:
		return errStrangerArgs
	default:
		return protocolError("invalid multibulk length")
	}
	if err := d.take(commandOverhead); err != nil {
		return err
	}
	overhead := argOverhead
	for i := 0; i < int(n); i++ {
		if err := d.bulk(overhead); err != nil {
			return unexpected(err)
		}
		switch {
		case i > 0:
		case d.many(d.arena):
			overhead += opOverhead
		case int(n)-1 > d.limits.args:
			return d.limits.tooManyArgs()
		}
	}
	return nil
}

// bulk reads one bulk string to the end of the arena, and reserves overhead bytes for it.
func (d *decoder) bulk(overhead int) error {
	n, err := d.header('$', "bulk")
	if err != nil {
		return err
	}
	switch {
	case n >= 0 && n <= int64(d.limits.bytes-len(d.arena)-argOverhead*len(d.ends)):
	case d.limits.stranger && n > 0:
		return errStrangerBulk
	default:
		return protocolError("invalid bulk length " + strconv.FormatInt(n, 10) + ", one command has at most " +
			strconv.Itoa(d.limits.bytes) + " bytes")
	}
	if err := d.take(overhead); err != nil {
		return err
	}
	for left := int(n); left > 0; {
		// What is allocated in advance is at most as much as has come already.
		k := min(left, max(growStep, len(d.arena)))
		at := len(d.arena)
		if err := d.grow(k); err != nil {
			return err
		}
		d.arena = d.arena[:at+k]
		if _, err := io.ReadFull(d.r, d.arena[at:]); err != nil {
			return err
		}
		left -= k
	}
	d.ends = append(d.ends, len(d.arena))
	return d.crlf()
}

// grow makes room for k more bytes in the arena.
func (d *decoder) grow(k int) error {
	need := len(d.arena) + k
	if need <= cap(d.arena) {
		return nil
	}
	size := need
	if k < growStep { // many small arguments: as append would do
		size = max(need, 2*cap(d.arena), min(firstArena, d.r.Buffered()))
	}
	if err := d.take(size - cap(d.arena)); err != nil {
		return err
	}
	arena := make([]byte, len(d.arena), size)
	copy(arena, d.arena)
	d.arena = arena
	return nil
}

func (d *decoder) take(n int) error {
	if err := d.reserve(n); err != nil {
		return err
	}
	d.used += n
	return nil
}

func (d *decoder) crlf() error {
	for _, want := range []byte("\r\n") {
		if got, err := d.r.ReadByte(); err != nil {
			return err
		} else if got != want {
			return protocolError("a bulk string does not end where it was announced to")
		}
	}
	return nil
}

// header reads a line of a type byte and a number.
func (d *decoder) header(kind byte, what string) (int64, error) {
	line, err := d.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return 0, protocolError("too big " + what + " count string")
	case err != nil:
		return 0, err
	case line[0] != kind:
		return 0, protocolError("expected '" + string(kind) + "', got " + strconv.QuoteRune(rune(line[0])))
	}
	n, ok := parseLength(line[1:])
	if !ok {
		return 0, protocolError("invalid " + what + " length")
	}
	return n, nil
}

// parseLength reads a decimal number that ends with CRLF.
func parseLength(line []byte) (int64, bool) {
	digits := len(line) - 2
	if digits < 1 || digits > 20 || line[digits] != '\r' {
		return 0, false
	}
	if line[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(line[:digits]), 10, 64)
	return n, err == nil
}

// unexpected turns an end of the input within a command into one that can be told from an end between two.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
