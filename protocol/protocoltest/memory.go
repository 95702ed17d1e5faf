// Package protocoltest has a handler in Memory, for tests of what stands in front of handlers.
package protocoltest

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stated/stated/protocol"
)

// Memory is a handler in Memory. It applies requests one by one in the order in which they were started.
type Memory struct {
	mu       sync.Mutex
	revision int64
	rows     map[string]row
	rowid    int64

	// Now gives the time of changes; always the same one by default.
	Now func() time.Time
	// Most is how many bytes one transaction may load; 0 = any number.
	Most int
	// Before, if set, is called for each started request; a nil result performs it.
	Before func(ctx context.Context, r *protocol.Request) *protocol.Reply
	// Waits, if set, is called at the beginning of each Wait.
	Waits func(ctx context.Context, r *protocol.Request)
}

type row struct {
	state    string
	revision int64
	at       time.Time
	rowid    int64
}

// Time is when everything happens.
var Time = time.UnixMilli(1_700_000_000_123).UTC()

// New gives a handler without agents.
func New() *Memory {
	return &Memory{rows: map[string]row{}, Now: func() time.Time { return Time }}
}

// Start implements [protocol.Handler].
func (f *Memory) Start(ctx context.Context, r *protocol.Request) {
	if f.Before != nil {
		if reply := f.Before(ctx, r); reply != nil {
			r.Answer(*reply)
			return
		}
	}
	if !r.Take() {
		return
	}
	r.Answer(f.Apply(r.Op()))
}

// Apply performs an operation.
func (f *Memory) Apply(op *protocol.Op) protocol.Reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.apply(op)
}

// Wait implements [protocol.Handler].
func (f *Memory) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	if f.Waits != nil {
		f.Waits(ctx, r)
	}
	select {
	case reply := <-r.Reply():
		return reply
	default:
	}
	select {
	case reply := <-r.Reply():
		return reply
	case <-ctx.Done():
	}
	if r.Leave() {
		return protocol.Reply{Err: protocol.AsError(ctx.Err())}
	}
	return protocol.Reply{Err: protocol.Errorf(protocol.CodeUnknown, "left")}
}

// Len is how many agents there are.
func (f *Memory) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.rows)
}

// Put saves an agent, whatever the state is.
func (f *Memory) Put(id, state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.save(id, state)
}

func (f *Memory) save(id, state string) row {
	f.revision++
	n, ok := f.rows[id]
	if !ok {
		f.rowid++
		n.rowid = f.rowid
	}
	n.state, n.revision, n.at = state, f.revision, f.Now()
	f.rows[id] = n
	return n
}

func (f *Memory) apply(op *protocol.Op) protocol.Reply {
	switch op.Kind() {
	case protocol.KindTxn:
		return f.txn(op.Ops())
	case protocol.KindList:
		return f.list(op)
	case protocol.KindScan:
		return f.scan(op)
	case protocol.KindCount:
		n := 0
		for id := range f.rows {
			if strings.HasPrefix(id, op.Prefix()) {
				n++
			}
		}
		return protocol.Reply{Count: int64(n)}
	case protocol.KindClear:
		n := len(f.rows)
		clear(f.rows)
		f.revision++
		return protocol.Reply{Count: int64(n), Revision: f.revision}
	}
	reply := f.one(op)
	if current, conflict := protocol.CurrentRevision(reply.Err); conflict && op.Skip() {
		return protocol.Reply{Skipped: true, Found: current != 0, Revision: current}
	}
	if k := op.Kind(); !reply.Found && (k == protocol.KindLoad || k == protocol.KindStat) {
		reply.Err = protocol.NotFound(op.ID())
	}
	return reply
}

func (f *Memory) one(op *protocol.Op) protocol.Reply {
	was, found := f.rows[op.ID()]
	if !op.Condition().Holds(was.revision) {
		return protocol.Reply{Err: protocol.Conflict(op, was.revision)}
	}
	reply := protocol.Reply{Found: found}
	switch op.Kind() {
	case protocol.KindSave:
		n := f.save(op.ID(), string(op.State()))
		reply.Revision, reply.UpdatedAt = n.revision, n.at
	case protocol.KindDelete:
		if found {
			delete(f.rows, op.ID())
			f.revision++
			reply.Revision = f.revision
		}
	case protocol.KindLoad, protocol.KindStat:
		reply.Revision, reply.UpdatedAt, reply.Bytes = was.revision, was.at, int64(len(was.state))
		if op.Kind() == protocol.KindLoad && found {
			reply.State = []byte(was.state)
		}
	}
	return reply
}

func (f *Memory) txn(ops []protocol.Op) protocol.Reply {
	rows, revision := make(map[string]row, len(f.rows)), f.revision
	for id, r := range f.rows {
		rows[id] = r
	}
	var all protocol.Reply
	size := 0
	for i := range ops {
		r := f.one(&ops[i])
		if size += len(r.State); f.Most > 0 && size > f.Most {
			r.Err = protocol.Errorf(protocol.CodeInvalid, "the reply has %d bytes", size).With(protocol.FactTooLarge, "1")
		}
		if r.Err != nil && ops[i].Skip() {
			r = protocol.Reply{Skipped: true, Found: r.Found}
		}
		if r.Err != nil {
			f.rows, f.revision = rows, revision
			return protocol.Reply{Err: protocol.AsError(r.Err).With(protocol.FactIndex, strconv.Itoa(i))}
		}
		all.Replies = append(all.Replies, r)
	}
	return all
}

func (f *Memory) ids() []string {
	ids := make([]string, 0, len(f.rows))
	for id := range f.rows {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (f *Memory) entry(id string) protocol.Entry {
	r := f.rows[id]
	return protocol.Entry{ID: id, Revision: r.revision, UpdatedAt: r.at, Bytes: int64(len(r.state))}
}

func (f *Memory) list(op *protocol.Op) (reply protocol.Reply) {
	for _, id := range f.ids() {
		if !strings.HasPrefix(id, op.Prefix()) || id <= op.After() {
			continue
		}
		if len(reply.Entries) == op.Limit() {
			reply.Next = reply.Entries[len(reply.Entries)-1].ID
			break
		}
		reply.Entries = append(reply.Entries, f.entry(id))
	}
	return reply
}

func (f *Memory) scan(op *protocol.Op) (reply protocol.Reply) {
	ids := f.ids()
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(f.rows[a].rowid, f.rows[b].rowid) })
	for _, id := range ids {
		if f.rows[id].rowid <= op.Cursor() {
			continue
		}
		if len(reply.Entries) == op.Limit() {
			reply.Count = f.rows[reply.Entries[len(reply.Entries)-1].ID].rowid
			break
		}
		reply.Entries = append(reply.Entries, f.entry(id))
	}
	return reply
}
