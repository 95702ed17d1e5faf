package resp

import (
	"bufio"
	"errors"
	"io"
	"net"

	"github.com/stated/stated/protocol"
)

// reader parses a connection's input into runs of commands. It is the io.Reader below its own buffer: that is how
// it knows when it is about to block in the middle of a command, and has another goroutine perform what came before.
type reader struct {
	c     *conn
	d     decoder
	run   []*command
	bytes int // of run
}

func newReader(c *conn) *reader {
	r := &reader{c: c}
	r.d = decoder{
		r:       bufio.NewReaderSize(r, readBuffer),
		current: c.limits,
		many:    c.srv.table.takesMany,
		reserve: r.reserve,
	}
	return r
}

// read parses until the input ends or cannot go on, or until another goroutine does.
func (c *conn) read() {
	for {
		cmd, err := c.in.d.next()
		if err != nil {
			c.in.end(err)
			return
		}
		if !c.in.add(cmd) {
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

// add puts a command into the run, and performs that when it is long enough or nothing more has come. It reports
// whether this goroutine is to read on. Behind a command that may change the limits, nothing is parsed before it was
// performed.
func (r *reader) add(cmd *command) bool {
	cmd.spec = r.c.srv.table.lookup(cmd.args[0])
	r.run = append(r.run, cmd)
	r.bytes += cmd.size
	if cmd.spec != nil && cmd.spec.flags&flagGate != 0 {
		return r.performGate(cmd)
	}
	if len(r.run) < maxRun && r.bytes < maxRunBytes && r.d.r.Buffered() > 0 {
		return true
	}
	return r.perform()
}

// perform performs the run on this goroutine, unless another one has the turn; then it leaves the run to that one.
func (r *reader) perform() bool {
	c, run := r.c, r.run
	mine, err := c.turns.offer(c.life, run, false)
	r.run, r.bytes = nil, 0
	if !mine {
		return err == nil
	}
	shift := c.startShift()
	c.perform(run)
	if !c.endShift(shift) {
		return false // r is no longer ours
	}
	if cap(run) <= shortRun {
		clear(run)
		r.run = run[:0]
	}
	return true
}

// performGate is perform for a run that ends with such a command. Nobody reads meanwhile.
func (r *reader) performGate(gate *command) bool {
	c, run := r.c, r.run
	gate.performed = make(chan struct{})
	mine, err := c.turns.offer(c.life, run, false)
	r.run, r.bytes = nil, 0
	if mine {
		c.perform(run)
	}
	if err != nil {
		return false
	}
	select {
	case <-gate.performed:
		return true
	case <-c.life.Done(): // also when whoever has the turn ended before it came to it
		return false
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

// handOver has another goroutine perform what was parsed so far, since this one is about to wait. It blocks while
// that one is busy with earlier runs.
func (r *reader) handOver() error {
	if len(r.run) == 0 {
		return nil
	}
	c, run := r.c, r.run
	mine, err := c.turns.offer(c.life, run, false)
	if err != nil {
		return err
	}
	r.run, r.bytes = nil, 0
	if mine {
		c.others.Go(func() { c.perform(run) })
	}
	return nil
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
	mine, _ := r.c.turns.offer(r.c.life, r.run, true) // when the connection has ended, nobody performs them
	switch {
	case mine && len(r.run) > 0:
		r.c.perform(r.run)
	case mine:
		r.c.finish()
	}
}
