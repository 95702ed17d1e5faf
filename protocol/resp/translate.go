package resp

import (
	"strconv"
	"time"

	"github.com/stated/stated/protocol"
)

// This file is the client's map of operations to commands, and of the values that they answer to replies.

// sendable returns INVALID for an operation that has no command.
func sendable(op *protocol.Op) error {
	switch {
	case op.Kind() == protocol.KindScan:
		return protocol.Errorf(protocol.CodeInvalid, "a scan is not possible over the network: use a list")
	case len(op.Ops()) > protocol.MaxTxnOps:
		return protocol.Errorf(protocol.CodeInvalid, "%d operations in one request are not possible over the network, at most %d are",
			len(op.Ops()), protocol.MaxTxnOps)
	}
	return nil
}

// appendOp appends the commands of an operation.
func appendOp(b []byte, op *protocol.Op) []byte {
	if op.Kind() != protocol.KindTxn {
		return appendOne(b, op, false)
	}
	b = appendCommand(b, "MULTI")
	ops := op.Ops()
	for i := range ops {
		b = appendOne(b, &ops[i], true)
	}
	return appendCommand(b, "EXEC")
}

func appendOne(b []byte, op *protocol.Op, inTxn bool) []byte {
	words := make([]string, 0, 8)
	switch op.Kind() {
	case protocol.KindSave:
		return appendSave(b, op, inTxn)
	case protocol.KindLoad:
		words = append(words, "STATE.LOAD", op.ID())
	case protocol.KindStat:
		words = append(words, "STATE.STAT", op.ID())
	case protocol.KindDelete:
		words = append(words, "STATE.DELETE", op.ID())
		words = appendConditions(words, op, inTxn)
	case protocol.KindCheck:
		words = append(words, "STATE.CHECK", op.ID())
		words = appendConditions(words, op, inTxn)
	case protocol.KindList:
		words = append(words, "STATE.LIST", "PREFIX", op.Prefix(), "AFTER", op.After(), "LIMIT", strconv.Itoa(askedLimit(op)))
	case protocol.KindCount:
		words = append(words, "STATE.COUNT", "PREFIX", op.Prefix())
	case protocol.KindClear:
		words = append(words, "STATE.CLEAR")
	}
	return appendCommand(b, words...)
}

// appendSave is on its own so that the state is copied only once.
func appendSave(b []byte, op *protocol.Op, inTxn bool) []byte {
	options := appendConditions(make([]string, 0, 4), op, inTxn)
	options = append(options, "FOUND")
	b = appendHead(b, '*', 3+len(options))
	for _, w := range []string{"STATE.SAVE", op.ID()} {
		b = append(append(appendHead(b, '$', len(w)), w...), '\r', '\n')
	}
	b = append(append(appendHead(b, '$', len(op.State())), op.State()...), '\r', '\n')
	for _, w := range options {
		b = append(append(appendHead(b, '$', len(w)), w...), '\r', '\n')
	}
	return b
}

func appendConditions(words []string, op *protocol.Op, inTxn bool) []string {
	cond := op.Condition()
	switch n, ok := cond.Revision(); {
	case ok:
		words = append(words, "IFREV", strconv.FormatInt(n, 10))
	case cond.Absent():
		words = append(words, "IFABSENT")
	case cond.Exists():
		words = append(words, "IFEXISTS")
	}
	if op.Skip() && inTxn {
		words = append(words, "ORSKIP")
	}
	return words
}

// askedLimit is one more than the page, which tells whether there is a next one, as far as the server allows it.
func askedLimit(op *protocol.Op) int { return min(op.Limit()+1, protocol.MaxListLimit) }

// readReply reads what the commands of one operation answer. An error means that the connection cannot go on.
func (s *session) readReply(op *protocol.Op) (protocol.Reply, error) {
	if op.Kind() == protocol.KindTxn {
		return s.readTxn(op)
	}
	v, err := s.values.next()
	if err != nil {
		return protocol.Reply{}, err
	}
	if v.isError() {
		return failure(op, parseErrorLine(string(v.text))), nil
	}
	reply, err := replyOf(op, &v)
	if err == nil && !reply.Found && (op.Kind() == protocol.KindLoad || op.Kind() == protocol.KindStat) {
		reply.Err = protocol.NotFound(op.ID())
	}
	return reply, err
}

// failure is the reply to a lone operation that the server refused. Only here can it be skipped: there is no word
// for that outside MULTI.
func failure(op *protocol.Op, err *protocol.Error) protocol.Reply {
	if op.Skip() && err.Code == protocol.CodeConflict {
		current, _ := protocol.CurrentRevision(err)
		return protocol.Reply{Skipped: true, Found: current != 0, Revision: current}
	}
	return protocol.Reply{Err: err}
}

// readTxn reads the replies of MULTI, of each queued command and of EXEC. The first error says what was wrong:
// EXEC itself would only say that something was.
func (s *session) readTxn(op *protocol.Op) (protocol.Reply, error) {
	ops := op.Ops()
	var refused error
	for range 1 + len(ops) {
		v, err := s.values.next()
		switch {
		case err != nil && refused != nil:
			return protocol.Reply{Err: refused}, nil // nothing of a refused transaction is applied
		case err != nil:
			return protocol.Reply{}, err
		case v.isError() && refused == nil:
			refused = parseErrorLine(string(v.text))
		}
	}
	v, err := s.values.next()
	switch {
	case err != nil && refused != nil:
		return protocol.Reply{Err: refused}, nil
	case err != nil:
		return protocol.Reply{}, err
	case v.isError() && refused != nil:
		return protocol.Reply{Err: refused}, nil
	case v.isError():
		return protocol.Reply{Err: parseErrorLine(string(v.text))}, nil
	case v.kind != '*' || len(v.elems) != len(ops):
		return protocol.Reply{}, errReply
	}
	all := protocol.Reply{Replies: make([]protocol.Reply, len(ops))}
	for i := range ops {
		if all.Replies[i], err = replyOf(&ops[i], &v.elems[i]); err != nil {
			return protocol.Reply{}, err
		}
	}
	return all, nil
}

// replyOf translates a value that is no error.
func replyOf(op *protocol.Op, v *value) (protocol.Reply, error) {
	f := fields{v: v}
	var r protocol.Reply
	switch op.Kind() {
	case protocol.KindSave:
		if r.Skipped = skipped(op, v); !r.Skipped {
			r.Revision, r.UpdatedAt, r.Found = f.int(0), f.time(1), f.int(2) == 1
		}
	case protocol.KindDelete:
		if r.Skipped = skipped(op, v); !r.Skipped {
			r.Found, r.Revision = f.int(0) == 1, f.int(1)
		}
	case protocol.KindLoad:
		if r.Found = !v.isNull(); r.Found {
			r.Revision, r.UpdatedAt, r.State = f.int(0), f.time(1), f.text(2)
			r.Bytes = int64(len(r.State))
		}
	case protocol.KindStat:
		if r.Found = !v.isNull(); r.Found {
			r.Revision, r.UpdatedAt, r.Bytes = f.int(0), f.time(1), f.int(2)
		}
	case protocol.KindCheck:
		r.Skipped = skipped(op, v)
		f.wrong = !r.Skipped && v.kind != '+'
	case protocol.KindList:
		r.Entries, r.Next = f.page(op.Limit())
	case protocol.KindCount:
		if v.kind != ':' {
			return r, errReply
		}
		r.Count = v.n
	case protocol.KindClear:
		r.Count, r.Revision = f.int(0), f.int(1)
	}
	if f.wrong {
		return protocol.Reply{}, errReply
	}
	return r, nil
}

func skipped(op *protocol.Op, v *value) bool { return op.Skip() && v.isNull() }

// fields reads the elements of an array and remembers whether one was not as it should be.
type fields struct {
	v     *value
	wrong bool
}

func (f *fields) at(i int, kind byte) *value {
	if i < len(f.v.elems) && f.v.elems[i].kind == kind {
		return &f.v.elems[i]
	}
	f.wrong = true
	return &value{}
}

func (f *fields) int(i int) int64   { return f.at(i, ':').n }
func (f *fields) text(i int) []byte { return f.at(i, '$').text }

func (f *fields) time(i int) time.Time {
	if i < len(f.v.elems) && f.v.elems[i].isNull() {
		return time.Time{}
	}
	return time.UnixMilli(f.int(i)).UTC()
}

// page reads a list and leaves out what was asked for beyond the limit.
func (f *fields) page(limit int) (entries []protocol.Entry, next string) {
	if f.v.kind != '*' {
		f.wrong = true
		return nil, ""
	}
	for i := range f.v.elems {
		one := fields{v: &f.v.elems[i]}
		entries = append(entries, protocol.Entry{
			ID: string(one.text(0)), Revision: one.int(1), UpdatedAt: one.time(2), Bytes: one.int(3),
		})
		f.wrong = f.wrong || one.wrong
	}
	full := len(entries) > limit || limit == protocol.MaxListLimit && len(entries) == limit
	if full && limit > 0 {
		entries = entries[:limit]
		next = entries[limit-1].ID
	}
	return entries, next
}
