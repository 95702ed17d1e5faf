package resp

import (
	"bufio"
	"errors"
	"io"
	"net"

	"github.com/stated/stated/protocol"
)

// reader parses a connection's input into runs of commands. It is the io.Reader below its own buffer: that is how
// it knows when it is about to block, and hands over what has come so far.
type reader struct {
	c     *conn
	d     decoder
	run   []*command
	bytes int // of run
}

// read parses until the input ends or cannot go on.
func (c *conn) read() {
	defer close(c.runs)
	r := &reader{c: c}
	r.d = decoder{
		r:       bufio.NewReaderSize(r, readBuffer),
		current: c.limits,
		many:    c.srv.table.takesMany,
		reserve: r.reserve,
	}
	for {
		cmd, err := r.d.next()
		if err != nil {
			r.end(err)
			return
		}
		if r.add(cmd) != nil {
			return
		}
	}
}

// limits are those of the client as it is now.
func (c *conn) limits() limits {
	if !c.known() {
		return limits{args: strangerArgs, manyArgs: strangerArgs, bytes: strangerBytes, line: strangerBytes, stranger: true}
	}
	return limits{args: maxArgs, manyArgs: maxManyArgs, bytes: c.srv.opts.RequestBytes, line: maxLineBytes}
}

// add puts a command into the run, and hands that over when it is long enough. Behind a command that may change the
// limits, nothing is parsed before it was performed.
func (r *reader) add(cmd *command) error {
	cmd.spec = r.c.srv.table.lookup(cmd.args[0])
	gate := cmd.spec != nil && cmd.spec.flags&flagGate != 0
	if gate {
		cmd.performed = make(chan struct{})
	}
	r.run = append(r.run, cmd)
	r.bytes += cmd.size
	if !gate && len(r.run) < maxRun && r.bytes < maxRunBytes {
		return nil
	}
	err := r.handOver()
	if !gate || err != nil {
		return err
	}
	select {
	case <-cmd.performed:
		return nil
	case <-r.c.life.Done(): // also when the executor ended before it came to it
		return r.c.life.Err()
	}
}

// Read implements io.Reader for the buffer.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.handOver(); err != nil {
		return 0, err
	}
	r.c.hurry(func(p *patience) { p.command = r.d.used > readBuffer })
	return r.c.nc.Read(p)
}

// reserve is the decoder's way to memory.
func (r *reader) reserve(n int) error {
	if n <= 0 {
		r.c.account.give(-n)
		return nil
	}
	// What has come must be on its way before we wait, since its answers make the room.
	return r.c.account.take(r.c.reading, n, func() { _ = r.handOver() })
}

// handOver gives the executor what was parsed so far. It blocks while the executor is busy with earlier runs.
func (r *reader) handOver() error {
	if len(r.run) == 0 {
		return nil
	}
	select {
	case r.c.runs <- r.run:
		r.run, r.bytes = nil, 0
		return nil
	case <-r.c.life.Done():
		return r.c.life.Err()
	}
}

// end decides what the end of the input means for the commands that came before it.
func (r *reader) end(err error) {
	var timeout net.Error
	var refused *protocol.Error
	var wrong protocolError
	var said redisError
	switch {
	case r.c.draining.Load(), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errBrowser):
	case errors.As(err, &refused), errors.As(err, &wrong), errors.As(err, &said):
		r.run = append(r.run, &command{last: err})
	case errors.As(err, &timeout) && timeout.Timeout() && r.c.overdue():
		r.run = append(r.run, &command{last: errLateAuth})
	case errors.As(err, &timeout) && timeout.Timeout() && r.d.used <= readBuffer:
		r.run = append(r.run, &command{last: protocolError("a large transaction was not ended in time")})
	case errors.As(err, &timeout) && timeout.Timeout():
		r.run = append(r.run, &command{last: protocolError("the rest of a large command did not come in time")})
	default:
		r.c.cancel() // a reset: nobody is there to read the answers
	}
	_ = r.handOver()
}
