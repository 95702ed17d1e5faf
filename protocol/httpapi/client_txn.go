package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/stated/stated/protocol"
)

// This file is the client's side of transactions. Both directions are written by hand around the states, which are
// carried byte for byte.

func (c *Client) txn(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	e := &outgoing{
		method: http.MethodPost, path: "/v1/transactions",
		header: http.Header{"Content-Type": {"application/json"}},
		body:   appendTxn(make([]byte, 0, op.Size()), op.Ops()), writes: op.Writes(),
	}
	got, err := c.ask(ctx, e)
	if err != nil {
		return protocol.Reply{}, err
	}
	replies, err := parseResults(got.body, op.Ops())
	if err != nil {
		return protocol.Reply{}, c.nonsense(e, got)
	}
	return protocol.Reply{Replies: replies}, nil
}

func appendTxn(b []byte, ops []protocol.Op) []byte {
	b = append(b, `{"ops":[`...)
	for i := range ops {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTxnOp(b, &ops[i])
	}
	return append(b, `]}`...)
}

func appendTxnOp(b []byte, op *protocol.Op) []byte {
	b = append(b, `{"op":"`...)
	b = append(b, op.Kind().String()...)
	b = append(b, `","agent_id":`...)
	b = appendString(b, op.ID())
	switch n, ok := op.Condition().Revision(); {
	case ok:
		b = strconv.AppendInt(append(b, `,"if_revision":`...), n, 10)
	case op.Condition().Absent():
		b = append(b, `,"if":"absent"`...)
	case op.Condition().Exists():
		b = append(b, `,"if":"exists"`...)
	}
	if op.Kind() == protocol.KindSave {
		b = appendStateMember(b, op.State())
	}
	return append(b, '}')
}

// appendStateMember appends a state as it is. Blanks around it would be taken for blanks of the request, and so such a state
// goes as text.
func appendStateMember(b, state []byte) []byte {
	if len(bytes.Trim(state, " \t\r\n")) == len(state) {
		return append(append(b, `,"state":`...), state...)
	}
	return appendString(append(b, `,"state_text":`...), string(state))
}

// parseResults reads what a transaction answers.
func parseResults(body []byte, ops []protocol.Op) (replies []protocol.Reply, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	err = readMembers(dec, func(key string) error {
		if key != "results" || replies != nil {
			return dec.Decode(&ignored{})
		}
		if err := expect(dec, json.Delim('[')); err != nil {
			return err
		}
		replies = make([]protocol.Reply, len(ops))
		for i := range ops {
			if replies[i], err = parseResult(dec, body, ops[i].Kind()); err != nil {
				return err
			}
		}
		return expect(dec, json.Delim(']'))
	})
	if err == nil && replies == nil {
		err = errNotJSON
	}
	if err == nil {
		err = expectEnd(dec)
	}
	return replies, err
}

// result is what is said of one operation.
type result struct {
	op        string
	revision  int64
	updatedAt *time.Time
	existed   bool
	found     bool
	bytes     int64
	state     []byte
	err       error
}

func parseResult(dec *json.Decoder, body []byte, kind protocol.Kind) (protocol.Reply, error) {
	var r result
	err := readMembers(dec, func(key string) error { return r.member(dec, body, key) })
	changed := kind == protocol.KindSave && r.err == nil
	if err == nil && (r.op != kind.String() || changed && r.revision < 1) {
		err = errNotJSON
	}
	return r.reply(kind), err
}

func (r *result) member(dec *json.Decoder, body []byte, key string) (err error) {
	switch key {
	case "op":
		return dec.Decode(&r.op)
	case "revision":
		return dec.Decode(&r.revision)
	case "updated_at":
		return dec.Decode(&r.updatedAt)
	case "existed":
		return dec.Decode(&r.existed)
	case "found":
		return dec.Decode(&r.found)
	case "bytes":
		return dec.Decode(&r.bytes)
	case "state":
		r.state, err = exactValue(dec, body)
		return err
	case "error":
		var text json.RawMessage
		if err := dec.Decode(&text); err != nil {
			return err
		}
		problem, ok := parseProblem(text)
		if !ok {
			return errNotJSON
		}
		r.err = problem
		return nil
	default:
		return dec.Decode(&ignored{})
	}
}

// exactValue reads the value of a member with the blanks around it, which are part of a state: a server writes none of
// its own there.
func exactValue(dec *json.Decoder, body []byte) ([]byte, error) {
	from := dec.InputOffset() // behind the key
	if err := dec.Decode(&ignored{}); err != nil {
		return nil, err
	}
	to := dec.InputOffset()
	blanks := bytes.IndexAny(body[to:], ",}") // in valid JSON nothing else is before these
	if blanks < 0 || body[from] != ':' {
		return nil, errNotJSON
	}
	return bytes.Clone(body[from+1 : to+int64(blanks)]), nil
}

func (r *result) reply(kind protocol.Kind) protocol.Reply {
	reply := protocol.Reply{Err: r.err}
	switch kind {
	case protocol.KindSave:
		reply.Found, reply.Revision, reply.UpdatedAt = r.existed, r.revision, utc(r.updatedAt)
	case protocol.KindDelete:
		reply.Found, reply.Revision = r.existed, r.revision
	case protocol.KindLoad:
		reply.Found, reply.Revision, reply.UpdatedAt = r.found, r.revision, utc(r.updatedAt)
		reply.State, reply.Bytes = r.state, int64(len(r.state))
	case protocol.KindStat:
		reply.Found, reply.Revision, reply.UpdatedAt, reply.Bytes = r.found, r.revision, utc(r.updatedAt), r.bytes
	}
	return reply
}
