package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// This file is the client's map of operations on one agent, or on all, to requests, and of what they answer to replies.

// expressible returns INVALID for an operation that has no request.
func expressible(op *protocol.Op) error {
	switch {
	case op.Kind() == protocol.KindScan:
		return protocol.Errorf(protocol.CodeInvalid, "a scan is not possible over the network: use a list")
	case op.Skip():
		return errSkip()
	case len(op.Ops()) > protocol.MaxTxnOps:
		return protocol.Errorf(protocol.CodeInvalid, "%d operations in one request are not possible over the network, at most %d are",
			len(op.Ops()), protocol.MaxTxnOps)
	}
	ops := op.Ops()
	for i := range ops {
		if ops[i].Skip() {
			return errSkip()
		}
	}
	return nil
}

func errSkip() error {
	return protocol.Errorf(protocol.CodeInvalid, "an operation that may be skipped is not possible over HTTP: use a condition")
}

// perform performs an operation, and gives its error as part of the reply.
func (c *Client) perform(ctx context.Context, op *protocol.Op) protocol.Reply {
	var f func(context.Context, *protocol.Op) (protocol.Reply, error)
	switch op.Kind() {
	case protocol.KindSave:
		f = c.save
	case protocol.KindLoad:
		f = c.load
	case protocol.KindStat:
		f = c.stat
	case protocol.KindDelete:
		f = c.delete
	case protocol.KindList:
		f = c.list
	case protocol.KindCount:
		f = c.count
	case protocol.KindClear:
		f = c.clear
	case protocol.KindTxn:
		f = c.txn
	default:
		return protocol.Reply{Err: protocol.Errorf(protocol.CodeInvalid, "%s is not an operation by itself", op.Kind())}
	}
	reply, err := f(ctx, op)
	if err != nil {
		return protocol.Reply{Err: err}
	}
	return reply
}

// ask performs a request. What is no success is an error.
func (c *Client) ask(ctx context.Context, e *outgoing) (*answer, error) {
	got, err := c.send(ctx, e)
	if err != nil {
		return nil, err
	}
	if got.status == http.StatusOK || got.status == http.StatusCreated && e.method == http.MethodPut {
		return got, nil
	}
	return nil, c.refused(e, got)
}

func agentPath(id string) string { return "/v1/agents/" + url.PathEscape(id) }

func conditionHeader(cond protocol.Condition) http.Header {
	switch n, ok := cond.Revision(); {
	case ok:
		return http.Header{"If-Match": {`"` + strconv.FormatInt(n, 10) + `"`}}
	case cond.Exists():
		return http.Header{"If-Match": {"*"}}
	case cond.Absent():
		return http.Header{"If-None-Match": {"*"}}
	default:
		return nil
	}
}

func (c *Client) save(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	e := &outgoing{
		method: http.MethodPut, path: agentPath(op.ID()), header: conditionHeader(op.Condition()),
		body: op.State(), writes: true,
	}
	if e.header == nil {
		e.header = http.Header{}
	}
	e.header.Set("Content-Type", "application/json")
	got, err := c.ask(ctx, e)
	if err != nil {
		return protocol.Reply{}, err
	}
	var saved struct {
		Revision  int64      `json:"revision"`
		UpdatedAt *time.Time `json:"updated_at"`
	}
	if json.Unmarshal(got.body, &saved) != nil || saved.Revision < 1 {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	return protocol.Reply{Found: got.status == http.StatusOK, Revision: saved.Revision, UpdatedAt: utc(saved.UpdatedAt)}, nil
}

func (c *Client) load(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	e := &outgoing{method: http.MethodGet, path: agentPath(op.ID())}
	got, err := c.ask(ctx, e)
	if err != nil {
		return protocol.Reply{}, err
	}
	reply, err := recordHeaders(got.header)
	if err != nil {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	reply.State, reply.Bytes = got.body, int64(len(got.body))
	return reply, nil
}

// stat asks for the headers alone. An answer without a body cannot say what is wrong, so then it asks once more.
func (c *Client) stat(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	got, err := c.send(ctx, &outgoing{method: http.MethodHead, path: agentPath(op.ID())})
	if err != nil {
		return protocol.Reply{}, err
	}
	if got.status == http.StatusOK {
		reply, malformed := recordHeaders(got.header)
		bytes, notNumber := strconv.ParseInt(got.header.Get("Content-Length"), 10, 64)
		if malformed == nil && notNumber == nil {
			reply.Bytes = bytes
			return reply, nil
		}
	}
	reply, err := c.load(ctx, op)
	reply.State = nil
	return reply, err
}

// recordHeaders reads what the headers say of an agent.
func recordHeaders(h http.Header) (protocol.Reply, error) {
	tag, begins := strings.CutPrefix(h.Get("ETag"), `"`)
	tag, ends := strings.CutSuffix(tag, `"`)
	revision, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || !begins || !ends || revision < 1 {
		return protocol.Reply{}, errNotRecord
	}
	reply := protocol.Reply{Found: true, Revision: revision}
	if text := h.Get("Stated-Updated-At"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return protocol.Reply{}, errNotRecord
		}
		reply.UpdatedAt = at.UTC()
	}
	return reply, nil
}

var errNotRecord = errors.New("httpapi: the headers are not those of an agent")

func (c *Client) delete(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	e := &outgoing{
		method: http.MethodDelete, path: agentPath(op.ID()), header: conditionHeader(op.Condition()), writes: true,
	}
	got, err := c.ask(ctx, e)
	switch {
	case errors.Is(err, protocol.CodeNotFound):
		return protocol.Reply{}, nil
	case err != nil:
		return protocol.Reply{}, err
	}
	var deleted struct {
		Revision int64 `json:"revision"`
	}
	if json.Unmarshal(got.body, &deleted) != nil || deleted.Revision < 1 {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	return protocol.Reply{Found: true, Revision: deleted.Revision}, nil
}

func (c *Client) list(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	query := url.Values{"limit": {strconv.Itoa(op.Limit())}}
	setIfAny(query, "prefix", op.Prefix())
	setIfAny(query, "after", op.After())
	e := &outgoing{method: http.MethodGet, path: "/v1/agents", query: query.Encode()}
	got, err := c.ask(ctx, e)
	if err != nil {
		return protocol.Reply{}, err
	}
	var page struct {
		Agents *[]struct {
			ID        string     `json:"agent_id"`
			Revision  int64      `json:"revision"`
			UpdatedAt *time.Time `json:"updated_at"`
			Bytes     int64      `json:"bytes"`
		} `json:"agents"`
		Next string `json:"next"`
	}
	if json.Unmarshal(got.body, &page) != nil || page.Agents == nil || len(*page.Agents) > op.Limit() {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	reply := protocol.Reply{Next: page.Next}
	for _, a := range *page.Agents {
		reply.Entries = append(reply.Entries, protocol.Entry{
			ID: a.ID, Revision: a.Revision, UpdatedAt: utc(a.UpdatedAt), Bytes: a.Bytes,
		})
	}
	return reply, nil
}

func (c *Client) count(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	query := url.Values{}
	setIfAny(query, "prefix", op.Prefix())
	e := &outgoing{method: http.MethodGet, path: "/v1/count", query: query.Encode()}
	got, err := c.ask(ctx, e)
	if err != nil {
		return protocol.Reply{}, err
	}
	var counted struct {
		Count *int64 `json:"count"`
	}
	if json.Unmarshal(got.body, &counted) != nil || counted.Count == nil {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	return protocol.Reply{Count: *counted.Count}, nil
}

func (c *Client) clear(ctx context.Context, _ *protocol.Op) (protocol.Reply, error) {
	e := &outgoing{method: http.MethodDelete, path: "/v1/agents", query: "confirm=all", writes: true}
	got, err := c.ask(ctx, e)
	if err != nil {
		return protocol.Reply{}, err
	}
	var cleared struct {
		Deleted  *int64 `json:"deleted"`
		Revision int64  `json:"revision"`
	}
	if json.Unmarshal(got.body, &cleared) != nil || cleared.Deleted == nil || cleared.Revision < 1 {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	return protocol.Reply{Count: *cleared.Deleted, Revision: cleared.Revision}, nil
}

func setIfAny(query url.Values, key, value string) {
	if value != "" {
		query.Set(key, value)
	}
}

// utc gives a time of JSON, or the zero time where there was none.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// appendString appends text as a string of JSON.
func appendString(b []byte, text string) []byte {
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string always can be encoded
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}
