package store

import (
	"context"

	"github.com/stated/stated/protocol"
)

// This file deals with what outsiders have put into the table beside their rows: triggers of their own, and
// revisions that stated has not given out.

// foreignTriggers reports whether somebody else has put a trigger on agent_state.
func foreignTriggers(ctx context.Context, c *conn) (bool, error) {
	row, _, err := c.row(ctx, `SELECT count(*) FROM sqlite_master
		WHERE type = 'trigger' AND lower(tbl_name) = 'agent_state' AND name NOT IN ('stated_insert', 'stated_update')`)
	return err == nil && row[0] != int64(0), err
}

// changeBesideTriggers is change for a table with foreign triggers, which can change the table themselves, with
// revisions from the stored counter. So the counter is moved past our own revision before, and read again after; and
// they may have changed the agent once more.
func (w *writer) changeBesideTriggers(op *protocol.Op) (protocol.Reply, error) {
	if _, err := w.setCounter.exec(background, w.counter+1); err != nil {
		return protocol.Reply{}, err
	}
	reply, err := w.change(op)
	if err != nil {
		return reply, err
	}
	row, ok, err := w.getCounter.Row(background)
	if err != nil {
		return protocol.Reply{}, err
	}
	if ok {
		stored, _ := row[0].(int64)
		w.counter = max(w.counter, stored)
	}
	if op.Kind() == protocol.KindSave && !reply.Skipped {
		reply.Revision, err = w.doCurrent(background, op.ID())
	}
	return reply, err
}

// insertBesideTriggers inserts as an outsider does, and leaves the revision to our trigger: it takes the next one when
// it has its turn among the others.
func (w *writer) insertBesideTriggers(op *protocol.Op) (int64, error) {
	if _, err := w.setCounter.exec(background, w.counter); err != nil {
		return 0, err
	}
	return w.insertPlain.exec(background, op.ID(), text(op.State()), w.now)
}

// passForeign deals with a revision that somebody else wrote into a row and that is not below the counter: an agent's
// revision never goes down, so the counter moves ahead of it. What is not even a number is taken out of the row.
func (w *writer) passForeign(op *protocol.Op, value any) error {
	revision, ok := value.(int64)
	switch {
	case value == nil || ok && revision <= w.counter:
		return ignored(op) // nothing but a trigger keeps such a row from being updated
	case !ok:
		n, err := w.forget.exec(background, op.ID())
		if err == nil && n == 0 {
			err = ignored(op)
		}
		return err
	case revision > maxForeignRevision:
		return protocol.Errorf(protocol.CodeCorrupt, "the row of agent %q is damaged: its revision is %d", op.ID(), revision)
	}
	w.counter = revision
	return nil
}

// ignored is the error of a statement that a trigger has made to do nothing, by RAISE(IGNORE).
func ignored(op *protocol.Op) error {
	return protocol.Errorf(protocol.CodeInvalid, "a trigger that somebody else put on the table ignores the %s of agent %q", op.Kind(), op.ID())
}

// maxForeignRevision leaves the counter enough room for ever.
const maxForeignRevision = 1 << 62
