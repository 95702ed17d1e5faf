package resp

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// session is one connection of a link, from its greeting to its end.
type session struct {
	nc       net.Conn
	values   valueReader
	inflight chan sent // written, or about to be
	queued   int64     // bytes of all requests so far, those still in the buffer included
	buf      []byte

	mu      sync.Mutex // held while writing
	written int64      // bytes that the kernel took
	broken  bool       // nothing is written any more
	dead    chan struct{}
}

// sent is a request whose reply is to be read.
type sent struct {
	request *protocol.Request
	at      int64 // where it begins in the stream
}

func newSession(nc net.Conn, inflight int) *session {
	return &session{
		nc:       nc,
		values:   valueReader{bufio.NewReaderSize(nc, readBuffer)},
		inflight: make(chan sent, inflight),
		dead:     make(chan struct{}),
	}
}

// greet chooses RESP3, and authenticates.
func (s *session) greet(name, token string) error {
	words := []string{"HELLO", "3"}
	if token != "" {
		words = append(words, "AUTH", auth.DefaultName, token)
	}
	if name != "" {
		words = append(words, "SETNAME", name)
	}
	if _, err := s.nc.Write(appendCommand(nil, words...)); err != nil {
		return err
	}
	v, err := s.values.next()
	switch {
	case err != nil:
		return err
	case v.isError():
		return parseErrorLine(withoutToken(string(v.text), token))
	case v.kind != '%':
		return errReply
	}
	return nil
}

// withoutToken gives the line of an error, but not one that quotes the token: other servers quote what they do not
// understand, or its beginning.
func withoutToken(line, token string) string {
	const telling = 4
	if token == "" || !strings.Contains(line, token[:min(telling, len(token))]) {
		return line
	}
	return "ERR the server does not understand HELLO 3 AUTH; its answer is left out, since it quotes the token"
}

// serve writes requests, beginning with next unless that is nil, until the connection or the client ends. When it
// returns, no goroutine of the session is left and each of its requests is answered, but for one that it did not
// begin and gives back.
func (s *session) serve(l *link, next *protocol.Request) (unsent *protocol.Request) {
	var others sync.WaitGroup
	others.Go(s.read)
	stop := make(chan struct{})
	others.Go(func() { // a write that blocks would not see the end of the client
		select {
		case <-l.closed:
			_ = s.nc.Close()
		case <-stop:
		}
	})
	unsent = s.write(l, next)
	_ = s.nc.Close()
	close(s.inflight)
	close(stop)
	others.Wait()
	return unsent
}

// write is the session's loop.
func (s *session) write(l *link, next *protocol.Request) (unsent *protocol.Request) {
	if next != nil {
		s.sendRun(l, next)
	}
	for {
		select {
		case next = <-l.queue:
		case <-s.dead:
			return nil
		case <-l.closed:
			return nil
		}
		select {
		case <-s.dead: // it came too late for this connection, not for the next one
			return next
		default:
			s.sendRun(l, next)
		}
	}
}

// sendRun writes a request and those that wait behind it.
func (s *session) sendRun(l *link, r *protocol.Request) {
	for more := true; more; {
		s.send(l, r)
		if len(s.buf) >= writeBuffer {
			break
		}
		select {
		case r = <-l.queue:
		default:
			more = false
		}
	}
	s.flush()
}

// send puts a request into the buffer and in line for its reply.
func (s *session) send(l *link, r *protocol.Request) {
	if !r.Take() {
		return // its caller has left: it never happens
	}
	one := sent{request: r, at: s.queued}
	before := len(s.buf)
	s.buf = appendOp(s.buf, r.Op())
	s.queued += int64(len(s.buf) - before)
	select {
	case s.inflight <- one:
		return
	default:
	}
	// No room in the line: it comes with replies, which need the requests written first. This one is not in the
	// line yet, and so must not be written yet.
	tail := append([]byte(nil), s.buf[before:]...)
	s.buf = s.buf[:before]
	s.flush()
	s.buf = append(s.buf[:0], tail...)
	select {
	case s.inflight <- one:
	case <-l.closed:
		s.buf = s.buf[:0]
		_ = s.nc.Close() // the reader answers all the others
		r.Answer(protocol.Reply{Err: protocol.ClientClosed()})
	}
}

// flush writes the buffer.
func (s *session) flush() {
	if len(s.buf) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.broken {
		n, err := s.nc.Write(s.buf)
		s.written += int64(n)
		if err != nil {
			s.broken = true
			_ = s.nc.Close() // so that the reader notices
		}
	}
	s.buf = s.buf[:0]
	if cap(s.buf) > 4*writeBuffer {
		s.buf = nil
	}
}

// read gives each request its reply, until the connection ends; then it answers those that are left.
func (s *session) read() {
	err := s.readReplies()
	_ = s.nc.Close() // a write under way ends now
	s.mu.Lock()
	s.broken = true
	written := s.written
	s.mu.Unlock()
	close(s.dead)
	for one := range s.inflight {
		one.request.Answer(protocol.Reply{Err: lost(one.request.Op(), one.at < written, err)})
	}
}

func (s *session) readReplies() error {
	for {
		if _, err := s.values.r.Peek(1); err != nil {
			return err
		}
		select {
		case one := <-s.inflight:
			reply, err := s.readReply(one.request.Op())
			if err != nil {
				// Its reply began, so it was written.
				one.request.Answer(protocol.Reply{Err: lost(one.request.Op(), true, err)})
				return err
			}
			one.request.Answer(reply)
		default:
			v, err := s.values.next()
			if err == nil && v.isError() {
				err = parseErrorLine(string(v.text))
			}
			if err == nil {
				err = errReply // a reply that nobody asked for
			}
			return err
		}
	}
}

// lost is the error of a request whose connection ended before its reply came.
func lost(op *protocol.Op, begun bool, cause error) error {
	if begun && op.Writes() {
		return protocol.Errorf(protocol.CodeUnknown,
			"the connection was lost before the reply came: it may or may not have been applied").Because(cause)
	}
	return protocol.Errorf(protocol.CodeUnavailable, "the connection was lost").Because(cause)
}

// appendCommand appends a command of these words.
func appendCommand(b []byte, words ...string) []byte {
	b = appendHead(b, '*', len(words))
	for _, w := range words {
		b = appendHead(b, '$', len(w))
		b = append(append(b, w...), '\r', '\n')
	}
	return b
}

func appendHead(b []byte, kind byte, n int) []byte {
	return append(strconv.AppendInt(append(b, kind), int64(n), 10), '\r', '\n')
}
