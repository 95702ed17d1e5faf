package conformance

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stated/stated/protocol"
)

// model is a store as a map: what everyone has to answer, times left out.
type model struct {
	revision int64
	agents   map[string]agent
}

type agent struct {
	state    string
	revision int64
}

func (m *model) perform(op *protocol.Op) protocol.Reply {
	switch op.Kind() {
	case protocol.KindTxn:
		return m.txn(op)
	case protocol.KindList:
		return m.list(op)
	case protocol.KindCount:
		return protocol.Reply{Count: int64(len(m.ids(op.Prefix(), "")))}
	case protocol.KindClear:
		m.revision++
		reply := protocol.Reply{Count: int64(len(m.agents)), Revision: m.revision}
		m.agents = map[string]agent{}
		return reply
	}
	reply := m.one(op)
	if reads := op.Kind() == protocol.KindLoad || op.Kind() == protocol.KindStat; reads && !reply.Found {
		reply.Err = protocol.NotFound(op.ID())
	}
	return reply
}

// one performs an operation on one agent, as it is in a transaction.
func (m *model) one(op *protocol.Op) protocol.Reply {
	was, found := m.agents[op.ID()]
	if !op.Condition().Holds(was.revision) {
		return protocol.Reply{Err: protocol.Conflict(op, was.revision)}
	}
	switch op.Kind() {
	case protocol.KindSave:
		m.revision++
		m.agents[op.ID()] = agent{string(op.State()), m.revision}
		return protocol.Reply{Found: found, Revision: m.revision}
	case protocol.KindDelete:
		if !found {
			return protocol.Reply{}
		}
		m.revision++
		delete(m.agents, op.ID())
		return protocol.Reply{Found: true, Revision: m.revision}
	case protocol.KindLoad, protocol.KindStat:
		reply := protocol.Reply{Found: found, Revision: was.revision, Bytes: int64(len(was.state))}
		if op.Kind() == protocol.KindLoad {
			reply.State = []byte(was.state)
		}
		return reply
	default:
		return protocol.Reply{}
	}
}

func (m *model) txn(op *protocol.Op) protocol.Reply {
	before := model{m.revision, map[string]agent{}}
	for id, a := range m.agents {
		before.agents[id] = a
	}
	var all protocol.Reply
	ops := op.Ops()
	for i := range ops {
		reply := m.one(&ops[i])
		if reply.Err != nil {
			*m = before
			return protocol.Reply{Err: protocol.AsError(reply.Err).With(protocol.FactIndex, strconv.Itoa(i))}
		}
		all.Replies = append(all.Replies, reply)
	}
	return all
}

// ids gives those that start with prefix, behind after, in byte order.
func (m *model) ids(prefix, after string) (ids []string) {
	for id := range m.agents {
		if strings.HasPrefix(id, prefix) && id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *model) list(op *protocol.Op) (reply protocol.Reply) {
	ids := m.ids(op.Prefix(), op.After())
	if len(ids) > op.Limit() {
		ids = ids[:op.Limit()]
		reply.Next = ids[len(ids)-1]
	}
	for _, id := range ids {
		a := m.agents[id]
		reply.Entries = append(reply.Entries, protocol.Entry{ID: id, Revision: a.revision, Bytes: int64(len(a.state))})
	}
	return reply
}
