package resp

import "github.com/stated/stated/protocol"

// watch is an agent and the revision it had, 0 for none.
type watch struct {
	id       string
	revision int64
}

func watchAgents(x *executor, args [][]byte) {
	if x.tx.open {
		x.reject(redisError("ERR WATCH inside MULTI is not allowed"))
		return
	}
	fresh, ops, err := x.newWatches(args[1:])
	if err != nil {
		x.reject(err)
		return
	}
	if len(ops) > 0 {
		err = x.statWatches(fresh, ops)
	}
	if err != nil {
		x.out.fail(err)
		return
	}
	x.tx.watched = append(x.tx.watched, fresh...)
	x.noteTransaction()
	x.out.ok()
}

// newWatches gives the agents that are not watched yet. An agent watched before keeps its revision: it is the
// older one that the client relies on.
func (x *executor) newWatches(ids [][]byte) ([]watch, []protocol.Op, error) {
	seen := map[string]bool{}
	for _, w := range x.tx.watched {
		seen[w.id] = true
	}
	var fresh []watch
	var ops []protocol.Op
	for _, id := range ids {
		op, err := protocol.Stat(string(id))
		if err != nil {
			return nil, nil, err
		}
		if seen[op.ID()] {
			continue
		}
		seen[op.ID()] = true
		fresh, ops = append(fresh, watch{id: op.ID()}), append(ops, op)
	}
	if len(seen) > maxWatches {
		return nil, nil, protocol.Errorf(protocol.CodeInvalid, "at most %d agents can be watched", maxWatches)
	}
	return fresh, ops, nil
}

func (x *executor) statWatches(fresh []watch, ops []protocol.Op) error {
	op, err := protocol.Bulk(ops...)
	if err != nil {
		return err
	}
	reply, err := x.do(op)
	if err != nil {
		return err
	}
	for i, r := range reply.Replies {
		if r.Found {
			fresh[i].revision = r.Revision
		}
	}
	return nil
}

func unwatch(x *executor, _ [][]byte) {
	x.tx.watched = nil
	x.noteTransaction()
	x.out.ok()
}
