package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// exchange is one request and its reply.
type exchange struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	ctx   context.Context // ends with the request's time
	begun time.Time
	id    string // of the request
	agent string // id in the path
	grant auth.Grant
	query map[string]string
	held  int // bytes reserved for the body

	values []string   // of the reply's headers, see set
	room   [10]string // for as many as most replies have

	taken    bool // the body has come, or will not come: there is nothing more to read
	asked    bool // an operation has been handed to the handler: errors come from there
	doubtful bool // it was one that writes
	replied  bool
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler) // its connection is being cut
	}
	defer s.running.Done()
	x := &exchange{s: s, w: w, r: r, begun: time.Now(), id: requestID(r)}
	x.values = x.room[:0]
	if c := connOf(r.Context()); c != nil {
		x.ctx = c.begin(s.opts.RequestTimeout)
		defer c.finish()
	} else {
		var cancel context.CancelFunc
		x.ctx, cancel = context.WithTimeout(r.Context(), s.opts.RequestTimeout)
		defer cancel()
	}
	defer x.release()
	defer x.recover()
	x.set("X-Request-Id", x.id)
	if s.stopping.Load() {
		x.set("Connection", "close")
	}
	x.boundBody()
	if err := x.serve(); err != nil {
		x.fail(err)
		x.linger()
	}
}

const maxRequestID = 128

// requestID gives the id that the client has chosen, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	special := func(c rune) bool { return c < '!' || c > '~' }
	if id != "" && len(id) <= maxRequestID && strings.IndexFunc(id, special) < 0 {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// serve finds the route and performs it if the client may.
func (x *exchange) serve() error {
	if err := x.checkOrigin(); err != nil {
		return err
	}
	found, id, allowed, err := x.s.routes.find(x.r)
	if err != nil {
		return err
	}
	x.agent = id
	if found == nil {
		x.set("Allow", strings.Join(allowed, ", "))
		if x.r.Method == http.MethodOptions {
			return x.reply(http.StatusNoContent, "", nil)
		}
		return status{http.StatusMethodNotAllowed, protocol.Errorf(protocol.CodeInvalid,
			"%.20q is not possible at this path: want %s", x.r.Method, strings.Join(allowed, ", "))}
	}
	if err := x.authenticate(found); err != nil {
		return err
	}
	if x.query, err = readQuery(x.r.URL.RawQuery, found.params); err != nil {
		return err
	}
	return found.perform(x)
}

// readQuery gives the parameters, which have to be known and given once.
func readQuery(raw string, known []string) (map[string]string, error) {
	if raw == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the query of the URL is not encoded correctly")
	}
	query := make(map[string]string, len(values))
	for name, given := range values {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return nil, protocol.Errorf(protocol.CodeInvalid, "there is no query parameter %.64q: this path has none", name)
		case !slices.Contains(known, name):
			return nil, protocol.Errorf(protocol.CodeInvalid, "there is no query parameter %.64q: want %s", name, strings.Join(known, ", "))
		case len(given) > 1:
			return nil, protocol.Errorf(protocol.CodeInvalid, "the query parameter %q is given %d times", name, len(given))
		}
		query[name] = given[0]
	}
	return query, nil
}

// do performs one operation, which its constructor may have refused.
func (x *exchange) do(op protocol.Op, err error) (protocol.Reply, error) {
	if err == nil {
		err = op.CheckStateBytes(x.s.opts.StateBytes)
	}
	if err == nil {
		err = x.permit(neededFor(&op))
	}
	if err != nil {
		return protocol.Reply{}, err
	}
	x.asked, x.doubtful = true, op.Writes()
	return protocol.Do(x.ctx, x.s.handler, op)
}

// neededFor is the role that an operation needs, whatever route it came by.
func neededFor(op *protocol.Op) auth.Role {
	switch {
	case op.Kind() == protocol.KindClear:
		return auth.RoleAdmin
	case op.Writes():
		return auth.RoleWrite
	default:
		return auth.RoleRead
	}
}

// set gives the reply a header, in place of one that is there already. It does not make a list for each value, as
// [http.Header.Set] does. The name has to be in canonical form (Etag).
func (x *exchange) set(name, value string) {
	n := len(x.values)
	x.values = append(x.values, value)
	x.w.Header()[name] = x.values[n : n+1 : n+1]
}

// reply writes the whole reply. It blocks until the client has taken it, for the request timeout at most.
func (x *exchange) reply(code int, contentType string, body []byte) error {
	if code != http.StatusNoContent && code != http.StatusNotModified {
		x.set("Content-Length", strconv.Itoa(len(body)))
	}
	return x.send(code, contentType, body)
}

// send is reply without the length of the body.
func (x *exchange) send(code int, contentType string, body []byte) error {
	x.replied = true
	x.set("X-Content-Type-Options", "nosniff")
	if contentType != "" {
		x.set("Content-Type", contentType)
	}
	if x.w.Header()["Cache-Control"] == nil {
		x.set("Cache-Control", "no-store")
	}
	x.allowWriting()
	x.w.WriteHeader(code)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // a client that is gone misses nothing
	}
	return nil
}

// allowWriting gives the client the time to take a reply.
func (x *exchange) allowWriting() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.s.opts.RequestTimeout))
}

// fail answers an error.
func (x *exchange) fail(err error) {
	e := protocol.AsError(err)
	if !x.asked {
		x.s.opts.Refused(e.Code)
	}
	x.note(e)
	switch e.Code {
	case protocol.CodeOverloaded, protocol.CodeLocked:
		x.set("Retry-After", "1")
	case protocol.CodeUnauthenticated:
		x.set("Www-Authenticate", `Bearer realm="stated"`)
	}
	if x.leavesMuch() {
		x.set("Connection", "close")
	}
	_ = x.reply(statusOfError(err), "application/problem+json", append(problem(err, x.id), '\n'))
}

// note logs an error that is not the client's own doing.
func (x *exchange) note(e *protocol.Error) {
	level := x.s.opts.Logger.Debug
	if e.Code == protocol.CodeInternal {
		level = x.s.opts.Logger.Error
	}
	line := level()
	if x.agent != "" {
		line = line.Str("agent_id", x.agent)
	}
	line.Str("request_id", x.id).Str("method", x.r.Method).Str("code", string(e.Code)).
		Dur("elapsed", time.Since(x.begun)).AnErr("cause", e.Err).Msg(e.Message)
}

// recover turns a defect into an answer, if there is none yet, and into a line in the log.
func (x *exchange) recover() {
	defect := recover()
	if defect == nil {
		return
	}
	x.s.opts.Logger.Error().Str("request_id", x.id).Interface("panic", defect).Bytes("stack", debug.Stack()).
		Msg("a request's handler panicked")
	if x.replied {
		panic(http.ErrAbortHandler) // the reply is broken: so must the connection be
	}
	if x.doubtful {
		x.fail(protocol.Errorf(protocol.CodeUnknown, "internal error, see the log: it may or may not have been applied"))
		return
	}
	x.fail(protocol.Errorf(protocol.CodeInternal, "internal error, see the log"))
}
