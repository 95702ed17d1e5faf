package httpapi

import (
	"net/http"
	"strconv"

	"github.com/stated/stated/protocol"
)

func (x *exchange) transact() error {
	if err := x.refuseForms(); err != nil {
		return err
	}
	body, err := x.body(x.s.opts.RequestBytes, "limits.request_bytes")
	if err != nil {
		return err
	}
	ops, err := readOps(body)
	if err != nil {
		return err
	}
	op, err := protocol.Txn(ops...)
	reply, err := x.do(op, err)
	if err != nil {
		return err
	}
	if len(reply.Replies) != len(ops) {
		return protocol.Errorf(protocol.CodeInternal, "%d operations got %d replies", len(ops), len(reply.Replies))
	}
	return x.reply(http.StatusOK, jsonType, appendResults(ops, reply.Replies))
}

// appendResults writes one result for each operation. States go in as they are: an encoder would change their bytes.
func appendResults(ops []protocol.Op, replies []protocol.Reply) []byte {
	const aroundState = 160 // of a result; about, and without its id
	size := 0
	for i := range ops {
		size += len(replies[i].State) + len(ops[i].ID()) + aroundState
	}
	b := append(make([]byte, 0, size), `{"results":[`...)
	for i := range ops {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendResult(b, &ops[i], &replies[i]), '}')
	}
	return append(b, "]}\n"...)
}

func appendResult(b []byte, op *protocol.Op, r *protocol.Reply) []byte {
	b = append(append(append(b, `{"op":"`...), op.Kind().String()...), '"')
	b = appendMember(b, "agent_id", op.ID())
	switch op.Kind() {
	case protocol.KindSave:
		b = appendRecord(b, r)
		return appendBool(b, "existed", r.Found)
	case protocol.KindDelete:
		b = appendMember(b, "revision", r.Revision)
		return appendBool(b, "existed", r.Found)
	case protocol.KindLoad, protocol.KindStat:
		if b = appendBool(b, "found", r.Found); !r.Found {
			return b
		}
		b = appendRecord(b, r)
		if op.Kind() == protocol.KindStat {
			return appendMember(b, "bytes", r.Bytes)
		}
		return appendState(b, r.State)
	}
	return b
}

func appendRecord(b []byte, r *protocol.Reply) []byte {
	b = appendMember(b, "revision", r.Revision)
	return appendMember(b, "updated_at", timeText(r.UpdatedAt))
}

// appendState appends a state, or, when another program has written what is not JSON, the error in its place.
func appendState(b, state []byte) []byte {
	if err := protocol.ValidateState(state); err != nil {
		return append(append(b, `,"error":`...), problem(err, "")...)
	}
	return append(append(b, `,"state":`...), state...)
}

func appendBool(b []byte, key string, value bool) []byte {
	return strconv.AppendBool(append(append(append(b, `,"`...), key...), `":`...), value)
}
