package resp

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/limit"
)

// executor performs the commands of one connection, in order. It belongs to the goroutine that has the turn.
type executor struct {
	c       *conn
	out     *output
	pending []pending
	tx      transaction
	grant   auth.Grant

	ending   bool // no further command of this connection is performed
	polite   bool // the client is to get the last reply even if it is still sending
	settling bool // settle is at work, or panicked
	doubtful bool // the command at work writes and was started: it may be applied whatever happens here

	// step is the context of the requests that are under way together, or of earlier ones; nil if it cannot be used again.
	step   *limit.Step
	inStep bool
}

// pending is a reply that is still to be written: that of a request that was started, or, behind one, a text.
type pending struct {
	request *protocol.Request
	plan    *plan
	text    []byte
	size    int // reserved bytes that the command holds
}

func newExecutor(c *conn) *executor {
	return &executor{c: c, out: &output{proto: 2, conn: c.nc, timeout: c.srv.opts.RequestTimeout}, grant: *c.grant.Load()}
}

// performAll performs a run, and the one that came meanwhile, and sends the replies.
func (x *executor) performAll(run []*command) {
	buffer := x.c.srv.buffers.Get().(*[]byte)
	x.out.buf = (*buffer)[:0]
	x.perform(run)
	x.perform(x.c.turns.more())
	x.guard(x.settle)
	x.out.flush()
	if cap(x.out.buf) > 0 {
		*buffer, x.out.buf = x.out.buf, nil
		x.c.srv.buffers.Put(buffer)
	}
	if timedOut(x.out.err) {
		x.c.srv.opts.Logger.Warn().Int64("client", x.c.id).Msg("a client does not take its replies, closing")
		x.ending = true
	}
}

func (x *executor) perform(run []*command) {
	for _, cmd := range run {
		if x.ending || x.c.life.Err() != nil {
			return
		}
		x.guard(func() { x.one(cmd) })
		if cmd.performed != nil {
			close(cmd.performed)
		}
		if timedOut(x.out.err) {
			x.ending = true
		}
	}
}

// guard calls f and turns a panic into the end of this connection alone. It reports whether f returned.
func (x *executor) guard(f func()) (ok bool) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		ok = false
		x.c.srv.opts.Logger.Error().Int64("client", x.c.id).Interface("panic", p).Bytes("stack", debug.Stack()).
			Msg("a command handler panicked")
		x.ending, x.polite = true, true
		err := protocol.Errorf(protocol.CodeInternal, "internal error, see the log")
		if x.doubtful {
			err = protocol.Errorf(protocol.CodeUnknown, "internal error, see the log: it may or may not have been applied")
		}
		switch {
		case x.settling: // the replies behind this one would be taken for this one
			x.pending = nil
		case !x.guard(x.settle):
			return // it has written the last reply
		}
		x.out.fail(err)
	}()
	f()
	return true
}

// one performs one command, or starts it.
func (x *executor) one(cmd *command) {
	if cmd.last != nil {
		x.settle()
		x.reject(cmd.last)
		x.ending, x.polite = true, true
		return
	}
	x.c.srv.commands.Add(1)
	x.renew()
	s, err := cmd.spec.called(cmd.args)
	x.note(s)
	if denied := x.permit(s); denied != nil {
		err = denied
	}
	switch {
	case err != nil:
		x.instantly(func() { x.refuse(s, err) })
	case x.tx.open && s.flags&flagControl == 0:
		x.instantly(func() { x.queue(s, cmd) })
		return // the transaction holds the command's bytes
	case x.out.err != nil && s.flags&flagRead != 0 && s.flags&flagControl == 0:
		// Nobody is there to read the answer; a client that has left could keep readers busy for long.
	case s.plan != nil:
		x.performPlan(s, cmd)
		return // so does what is pending
	case s.flags&flagInstant != 0:
		if cmd.size > readBuffer {
			x.settle() // its reply is not worth keeping
		}
		x.instantly(func() { s.handle(x, cmd.args) })
	case s.flags&flagOrdered != 0:
		s.handle(x, cmd.args)
	default:
		x.settle()
		s.handle(x, cmd.args)
	}
	x.c.account.give(cmd.size)
}

func (x *executor) note(s *spec) {
	x.c.about.update(func(a *about) {
		a.active = time.Now()
		if s != nil {
			a.command = s.name
		}
	})
}

func (x *executor) performPlan(s *spec, cmd *command) {
	p, err := s.plan(cmd.args, false)
	if err == nil {
		err = p.check(x.c.srv.opts.StateBytes)
	}
	if err != nil {
		x.instantly(func() { x.reject(err) })
		x.c.account.give(cmd.size)
		return
	}
	x.submit(p, cmd.size)
}

// submit performs a plan that holds size reserved bytes: it starts one that only writes, and leaves its answer
// to settle; any other waits for the writes before it and is answered at once.
func (x *executor) submit(p *plan, size int) {
	op, err := p.op()
	if err == nil {
		err = x.permitOp(&op)
	}
	if err != nil {
		x.c.srv.refused(err)
		x.instantly(func() { p.fail(x.out, err) })
		x.c.account.give(size)
		return
	}
	if p.onlyWrites() {
		r := protocol.NewRequest(op)
		x.doubtful = true
		x.c.srv.handler.Start(x.begin(), r)
		x.pending = append(x.pending, pending{request: r, plan: p, size: size})
		x.doubtful = false // settle takes care of it from here on
		if len(x.pending) >= maxRun {
			x.settle()
		}
		return
	}
	x.settle()
	x.doubtful = p.writes()
	reply, _ := x.do(op)
	x.answer(p, reply)
	x.doubtful = false
	x.c.account.give(size)
}

// do performs one operation and waits for it.
func (x *executor) do(op protocol.Op) (protocol.Reply, error) {
	defer x.finishStep()
	return x.doWithinStep(op)
}

// doWithinStep performs one operation of a command that needs several, which have the time of one request together.
func (x *executor) doWithinStep(op protocol.Op) (protocol.Reply, error) {
	if err := x.permitOp(&op); err != nil {
		return protocol.Reply{Err: err}, err
	}
	return protocol.Do(x.begin(), x.c.srv.handler, op)
}

// settle waits for what was started and writes the answers, in order.
func (x *executor) settle() {
	defer x.finishStep()
	x.settling = true
	for i := range x.pending {
		p := x.pending[i]
		x.pending[i] = pending{}
		if p.request == nil {
			x.out.buf = append(x.out.buf, p.text...)
			x.out.flushIfLarge()
		} else {
			x.doubtful = true // only writes are pending
			x.answer(p.plan, x.c.srv.handler.Wait(x.begin(), p.request))
			x.doubtful = false
		}
		x.c.account.give(p.size)
	}
	x.pending = x.pending[:0]
	x.settling = false
}

func (x *executor) answer(p *plan, r protocol.Reply) {
	replies, err := p.replies(r)
	if err == nil && !p.writes() {
		if n := replyBytes(replies); n > x.c.srv.opts.OutputBytes {
			err = tooLarge(n, x.c.srv.opts.OutputBytes, "ask for less at once")
		}
	}
	if err != nil {
		p.fail(x.out, err)
		return
	}
	p.word(x.out, replies)
}

// instantly writes a reply that depends on nothing, behind those that are pending.
func (x *executor) instantly(write func()) {
	if len(x.pending) == 0 {
		write()
		return
	}
	out := x.out
	defer func() { x.out = out }()
	x.out = &output{proto: out.proto}
	write()
	x.pending = append(x.pending, pending{text: x.out.buf})
}

// begin gives the context of the current step, which it starts if need be.
func (x *executor) begin() context.Context {
	switch timeout := x.c.srv.opts.RequestTimeout; {
	case x.inStep:
	case x.step == nil:
		x.step = limit.NewStep(x.c.life, timeout)
	default:
		x.step.Restart(timeout)
	}
	x.inStep = true
	return x.step
}

func (x *executor) finishStep() {
	if x.inStep && !x.step.Stop() {
		x.step = nil
	}
	x.inStep = false
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
