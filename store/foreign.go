package store

import (
	"context"
	"database/sql/driver"

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

// doBesideTriggers is perform for a table with foreign triggers, which can do what no constraint can. RAISE(FAIL)
// leaves what its statement has changed so far, so that each operation has to be undone by itself; a trigger that
// changes the table takes a revision from the counter, which so has to be right before and is read again after.
func (w *writer) doBesideTriggers(op *protocol.Op) (protocol.Reply, error) {
	if _, err := w.setCounter.exec(background, w.counter); err != nil {
		return protocol.Reply{}, err
	}
	reply, err := w.undoable(func() (protocol.Reply, error) { return w.perform(op) })
	if err != nil {
		return reply, err
	}
	row, ok, err := w.getCounter.row(background)
	if ok {
		stored, _ := row[0].(int64)
		w.counter = max(w.counter, stored)
	}
	return reply, err
}

// passForeign deals with a revision that somebody else wrote into a row and that is not below the counter: an agent's
// revision never goes down, so the counter moves ahead of it. What is not even a number is taken out of the row.
func (w *writer) passForeign(op *protocol.Op, value driver.Value) error {
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
