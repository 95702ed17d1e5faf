package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/stated/stated/protocol"
)

// The routes of one agent.

const jsonType = "application/json"

// changeJSON is what a change of an agent answers.
type changeJSON struct {
	ID        string  `json:"agent_id"`
	Revision  int64   `json:"revision"`
	UpdatedAt *string `json:"updated_at,omitempty"`
}

func (x *exchange) save() error {
	if x.r.Header.Get("Content-Range") != "" { // RFC 9110, section 14.5
		return protocol.Errorf(protocol.CodeInvalid, "Content-Range is given: a state cannot be saved in parts")
	}
	cond, err := x.condition()
	if err != nil {
		return err
	}
	state, err := x.body(x.s.opts.StateBytes, "limits.state_bytes")
	if err != nil {
		return err
	}
	op, err := protocol.Save(x.agent, state, cond)
	reply, err := x.do(op, err)
	if err != nil {
		return err
	}
	code := http.StatusCreated
	if reply.Found {
		code = http.StatusOK
	}
	x.set("Etag", etag(reply.Revision))
	return x.replyJSON(code, changeJSON{ID: x.agent, Revision: reply.Revision, UpdatedAt: timeText(reply.UpdatedAt)})
}

// load answers GET and HEAD.
func (x *exchange) load() error {
	match, done, err := x.unchanged()
	if done || err != nil {
		return err
	}
	find := protocol.Load
	if x.r.Method == http.MethodHead {
		find = protocol.Stat
	}
	op, err := find(x.agent)
	reply, err := x.do(op, err)
	if errors.Is(err, protocol.CodeNotFound) && match.given {
		return x.conflict(0, "If-Match")
	}
	if err != nil {
		return err
	}
	if match.given && !match.sameAs(reply.Revision, false) {
		return x.conflict(reply.Revision, "If-Match")
	}
	x.set("Etag", etag(reply.Revision))
	x.set("Accept-Ranges", "none")
	x.set("Cache-Control", "no-cache") // it may be kept, and has to be asked for each time
	if x.r.Method == http.MethodHead || len(reply.State) > ownLength {
		x.set("Content-Length", strconv.FormatInt(reply.Bytes, 10))
	}
	if at := timeText(reply.UpdatedAt); at != nil {
		x.set("Last-Modified", reply.UpdatedAt.UTC().Format(http.TimeFormat))
		x.set("Stated-Updated-At", *at)
	}
	return x.send(http.StatusOK, jsonType, reply.State)
}

// ownLength is the longest body that net/http gives a Content-Length by itself, if nothing was flushed: what its buffer
// holds. Without that one a load has eight headers, which a map of Go keeps in one piece of memory. Of nine it makes several,
// and net/http copies them.
const ownLength = 2 << 10

func (x *exchange) remove() error {
	cond, err := x.condition()
	if err != nil {
		return err
	}
	op, err := protocol.Delete(x.agent, cond)
	reply, err := x.do(op, err)
	switch {
	case err != nil:
		return err
	case !reply.Found:
		return protocol.NotFound(x.agent)
	}
	return x.replyJSON(http.StatusOK, changeJSON{ID: x.agent, Revision: reply.Revision})
}

func (x *exchange) replyJSON(code int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.reply(code, jsonType, append(body, '\n'))
}

// timeText gives a time in UTC with milliseconds; nil where the file holds none that can be read.
func timeText(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}
