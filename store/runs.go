package store

import (
	"context"
	"hash/maphash"
	"math/bits"

	"github.com/stated/stated/protocol"
)

// This file leaves out writes that nobody could ever find. A run is several saves of one agent in one batch, none with a
// condition, and between them nothing that looks at the agent: the last of them alone is written. Each of them takes its
// revision in its turn, and is answered as if it had been written.

// runs tells which operations of a batch are a run.
type runs struct {
	places []place // of each operation
	seed   maphash.Seed
	latest []int // a hash table of agents: the latest operation on one, plus one; a map takes several times as long
}

// place is where an operation stands in its run. One that is in none is a run by itself.
type place struct {
	first    int  // the first operation of the run
	followed bool // there is a later one
}

func newRuns() runs { return runs{seed: maphash.MakeSeed()} }

func (r *runs) find(ops []*protocol.Op) {
	if size := 2 << bits.Len(uint(len(ops))); size > len(r.latest) {
		r.latest = make([]int, size)
	}
	clear(r.latest)
	r.places = r.places[:0]
	for i, op := range ops {
		r.places = append(r.places, place{first: i})
		switch op.Kind() {
		case protocol.KindSave, protocol.KindDelete:
			at := r.slot(ops, op.ID())
			before := *at - 1
			*at = i + 1
			if before >= 0 && alwaysSaves(op) && alwaysSaves(ops[before]) {
				r.places[before].followed = true
				r.places[i].first = r.places[before].first
			}
		default: // it may look at any agent
			clear(r.latest)
		}
	}
}

// slot is where the table has an agent, or is to have it. At least half of the table is free.
func (r *runs) slot(ops []*protocol.Op, id string) *int {
	for h := maphash.String(r.seed, id); ; h++ {
		at := &r.latest[h%uint64(len(r.latest))]
		if *at == 0 || ops[*at-1].ID() == id {
			return at
		}
	}
}

func alwaysSaves(op *protocol.Op) bool {
	return op.Kind() == protocol.KindSave && op.Condition().None()
}

// doAll performs the operations of a batch. An error concerns all of them; those of one alone are in its reply.
func (w *writer) doAll(ops []*protocol.Op, replies []protocol.Reply) error {
	if w.foreign || w.refuses || len(ops) < 2 {
		for i, op := range ops {
			if err := w.reply(op, &replies[i]); err != nil {
				return err
			}
		}
		return nil
	}
	w.runs.find(ops)
	for i, op := range ops {
		p := w.runs.places[i]
		if p.followed {
			replies[i] = w.saved(w.counter+1, true)
			continue
		}
		revision := w.counter + 1
		err := w.reply(op, &replies[i])
		if err == nil && p.first != i {
			err = w.endRun(ops, replies, i, revision)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endRun completes the replies of a run whose last operation was performed and should have taken that revision. If it did
// not, the row is one that stated did not write, whose revision is not below those that the run took: then each is performed
// by itself, with a revision or an error of its own.
func (w *writer) endRun(ops []*protocol.Op, replies []protocol.Reply, last int, revision int64) error {
	first := w.runs.places[last].first
	if replies[last].Err == nil && replies[last].Revision == revision {
		replies[first].Found, replies[last].Found = replies[last].Found, true
		return nil
	}
	for i := first; i <= last; i++ {
		if w.runs.places[i].first != first {
			continue
		}
		if err := w.reply(ops[i], &replies[i]); err != nil {
			return err
		}
	}
	return nil
}

// reply performs one operation and fills in its reply. An error concerns the whole batch.
func (w *writer) reply(op *protocol.Op, to *protocol.Reply) error {
	reply, err := w.do(op)
	if err != nil && !isOps(err) {
		return err
	}
	reply.Err = translate(err)
	*to = reply
	return nil
}

// refusesStates reports whether the table may refuse one state and accept another: then each has to be written. That takes
// a constraint or an index that somebody else has made, or a column that is computed.
func refusesStates(ctx context.Context, c *conn) (bool, error) {
	row, ok, err := c.row(ctx, `SELECT replace(lower(sql), 'checksum', '') LIKE '%check%'
			OR (SELECT count(*) FROM pragma_index_list('agent_state')) > 1
			OR (SELECT count(*) FROM pragma_table_xinfo('agent_state') WHERE hidden <> 0) > 0
		FROM sqlite_master WHERE type = 'table' AND lower(name) = 'agent_state'`)
	return !ok || row[0] != int64(0), err
}
