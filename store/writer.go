package store

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/stated/stated/protocol"
)

// writer is the read-write connection: a reader, with the statements that change something. Everything here
// happens inside the one transaction that Store.attempt has begun.
type writer struct {
	*reader

	beginImmediate, commit                        *stmt
	dataVersion, schemaCookie, getCounter         *stmt
	update, insert, remove, clear, setCounter     *stmt
	forget, insertPlain                           *stmt // see foreign.go
	savepoint, rollbackToSavepoint, dropSavepoint *stmt
	vacuum                                        *stmt

	vacuums bool // the file can give free space back

	seen    bool  // this connection has looked at the file
	version int64 // data_version when it last did
	cookie  int64 // schema_version of the schema that was verified
	foreign bool  // in that schema somebody else has triggers on agent_state
	refuses bool  // in that schema it may refuse one state and accept another
	base    int64 // the counter as the last commit left it
	counter int64 // the counter with the changes of the transaction in progress

	now     string    // updated_at of the batch, as text
	nowTime time.Time // the same

	runs runs // of the batch
}

func newWriter(c *conn, limit int64) (*writer, error) {
	r, err := newReader(c, true, limit)
	if err != nil {
		return nil, err
	}
	w := &writer{reader: r, runs: newRuns()}
	mode, err := c.number("PRAGMA auto_vacuum")
	if err != nil {
		return nil, err
	}
	w.vacuums = mode == incrementalVacuum
	return w, c.prepareAll([]statement{
		{&w.beginImmediate, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.dataVersion, "PRAGMA data_version"},
		{&w.schemaCookie, "PRAGMA schema_version"},
		{&w.getCounter, "SELECT revision FROM stated_meta WHERE id = 1"},
		{&w.setCounter, "UPDATE stated_meta SET revision = ?1 WHERE id = 1"},
		// OR ABORT: an outsider's constraint must undo its statement alone, not the transaction.
		// A row whose revision somebody else moved ahead of the counter is not touched: see save.
		{&w.update, `UPDATE OR ABORT agent_state SET state_json = ?2, updated_at = ?3, revision = ?4, checksum = ?5
			WHERE agent_id = ?1 AND ifnull(revision, 1) < ?4`},
		{&w.insert, `INSERT OR ABORT INTO agent_state (agent_id, state_json, updated_at, revision, checksum) VALUES (?1, ?2, ?3, ?4, ?5)`},
		{&w.insertPlain, "INSERT OR ABORT INTO agent_state (agent_id, state_json, updated_at) VALUES (?1, ?2, ?3)"},
		{&w.forget, "UPDATE OR ABORT agent_state SET revision = NULL WHERE agent_id = ?1"},
		{&w.remove, "DELETE FROM agent_state WHERE agent_id = ?1"},
		{&w.clear, "DELETE FROM agent_state"},
		{&w.savepoint, "SAVEPOINT stated_txn"},
		{&w.rollbackToSavepoint, "ROLLBACK TO stated_txn"},
		{&w.dropSavepoint, "RELEASE stated_txn"},
		{&w.vacuum, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumStep)},
	})
}

// background is the context of everything between BEGIN and COMMIT: a caller who gives up must not interrupt a
// transaction that others share.
var background = context.Background()

// catchUp learns, at the beginning of a transaction, what other processes have done since the last one: the counter,
// and whether the schema is still ours. It reports whether there was anything.
func (w *writer) catchUp(ctx context.Context, path string, highest int64) (outside bool, err error) {
	w.counter = w.base
	row, _, err := w.dataVersion.Row(background)
	if err != nil {
		return false, err
	}
	version := row[0].(int64)
	if w.seen && version == w.version {
		return false, nil
	}
	row, _, err = w.schemaCookie.Row(background)
	if err != nil {
		return false, err
	}
	if cookie := row[0].(int64); cookie != w.cookie {
		if err := verify(ctx, w.conn, path); err != nil {
			return false, err
		}
		if w.foreign, err = foreignTriggers(ctx, w.conn); err != nil {
			return false, err
		}
		if w.refuses, err = refusesStates(ctx, w.conn); err != nil {
			return false, err
		}
		// Ours look at each change and leave those of ours alone, which takes a third of the time of a save.
		if err := w.conn.SetTriggers(w.foreign); err != nil {
			return false, err
		}
		w.cookie = cookie
	}
	row, ok, err := w.getCounter.Row(background)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, lostRow(path)
	}
	stored, isInt := row[0].(int64)
	// A number that is too small does no harm to whom remembers a higher one.
	if !isInt || stored > maxForeignRevision || stored < 0 && highest == 0 {
		return false, protocol.Errorf(protocol.CodeCorrupt, "%s: the revision counter is damaged: it is %v", path, row[0])
	}
	outside, w.seen = w.seen, true
	// Never behind what was once given out, even if somebody wrote a smaller number into the file.
	w.base = max(stored, highest)
	w.version, w.counter = version, w.base
	return outside, nil
}

// setTime sets the updated_at of the changes that follow.
func (w *writer) setTime(now time.Time) {
	w.nowTime = now.UTC().Truncate(time.Millisecond)
	w.now = w.nowTime.Format(timeLayout)
}

// do performs one operation of a batch. An error for which isOps holds is the operation's own; any other
// concerns the whole batch.
func (w *writer) do(op *protocol.Op) (protocol.Reply, error) {
	if w.foreign { // RAISE(FAIL) in a trigger leaves what its statement has changed so far
		return w.undoable(func() (protocol.Reply, error) { return w.perform(op) })
	}
	return w.perform(op)
}

func (w *writer) perform(op *protocol.Op) (protocol.Reply, error) {
	switch {
	case op.Kind() == protocol.KindTxn:
		return w.txn(op)
	case !op.Writes():
		return w.reader.do(background, op)
	case w.foreign:
		return w.changeBesideTriggers(op)
	default:
		return w.change(op)
	}
}

// change performs a save, delete or clear.
func (w *writer) change(op *protocol.Op) (protocol.Reply, error) {
	switch op.Kind() {
	case protocol.KindSave:
		return w.save(op)
	case protocol.KindDelete:
		return w.delete(op)
	default:
		w.counter++
		n, err := w.clear.exec(background)
		return protocol.Reply{Count: n, Revision: w.counter}, err
	}
}

func (w *writer) save(op *protocol.Op) (protocol.Reply, error) {
	if reply, pass, err := w.guard(op); !pass {
		return reply, err
	}
	for {
		revision := w.counter + 1
		n, err := w.write(w.update, op, revision)
		if err != nil {
			return protocol.Reply{}, err
		}
		if n > 0 {
			return w.saved(revision, true), nil
		}
		// Nothing was updated: there is no such agent, or its revision is not below ours.
		row, ok, err := w.current.Row(background, op.ID())
		if err != nil {
			return protocol.Reply{}, err
		}
		if ok {
			if err := w.passForeign(op, row[0]); err != nil {
				return protocol.Reply{}, err
			}
			continue
		}
		if w.foreign {
			n, err = w.insertBesideTriggers(op)
		} else {
			n, err = w.write(w.insert, op, revision)
		}
		if err == nil && n == 0 {
			err = ignored(op)
		}
		if err == nil {
			err = w.findsNew(op, revision)
		}
		if err != nil {
			return protocol.Reply{}, err
		}
		return w.saved(revision, false), nil
	}
}

// findsNew looks whether an agent that was just inserted is what its id leads to now. Where the index over the ids is damaged
// an older row may have been overlooked, and be found again.
func (w *writer) findsNew(op *protocol.Op, revision int64) error {
	if w.foreign { // others may have changed the revision
		return nil
	}
	row, ok, err := w.current.Row(background, op.ID())
	if err == nil && (!ok || row[0] != revision) {
		err = errDamagedIndex
	}
	return err
}

func (w *writer) saved(revision int64, found bool) protocol.Reply {
	w.counter = revision
	return protocol.Reply{Found: found, Revision: revision, UpdatedAt: w.nowTime}
}

func (w *writer) write(s *stmt, op *protocol.Op, revision int64) (int64, error) {
	err := errors.Join(s.Text(1, op.ID()), s.Text(2, text(op.State())), s.Text(3, w.now),
		s.Int(4, revision), s.Int(5, protocol.Checksum(op.Digest(), revision)))
	if err != nil {
		return 0, err
	}
	return s.run()
}

// text lends the bytes as a string, to whoever copies them before it returns.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// guard looks at the condition of a save or delete, and lets it pass. Else it gives what to answer: the conflict, or
// that the operation was skipped.
func (w *writer) guard(op *protocol.Op) (reply protocol.Reply, pass bool, err error) {
	if op.Condition().None() {
		return reply, true, nil
	}
	current, err := w.doCurrent(background, op.ID())
	if err == nil {
		err = held(op, current)
	}
	if err != nil && op.Skip() && errors.Is(err, protocol.CodeConflict) {
		return protocol.Reply{Skipped: true, Found: current != 0, Revision: current}, false, nil
	}
	return reply, err == nil, err
}

func (w *writer) delete(op *protocol.Op) (protocol.Reply, error) {
	if reply, pass, err := w.guard(op); !pass {
		return reply, err
	}
	n, err := w.remove.exec(background, op.ID())
	if err == nil && n == 0 && w.foreign {
		_, ok, found := w.current.Row(background, op.ID())
		if err = found; ok {
			err = ignored(op)
		}
	}
	if err != nil || n == 0 {
		return protocol.Reply{}, err
	}
	w.counter++
	return protocol.Reply{Found: true, Revision: w.counter}, nil
}

// txn performs a transaction's operations, or none of them.
func (w *writer) txn(op *protocol.Op) (protocol.Reply, error) {
	return w.undoable(func() (protocol.Reply, error) {
		return w.each(op, func(op *protocol.Op) (protocol.Reply, error) {
			if op.Writes() {
				return w.perform(op)
			}
			return w.inTxn(background, op)
		})
	})
}

// undoable performs f, or nothing of it.
func (w *writer) undoable(f func() (protocol.Reply, error)) (protocol.Reply, error) {
	before := w.counter
	if _, err := w.savepoint.exec(background); err != nil {
		return protocol.Reply{}, err
	}
	reply, err := f()
	if err != nil && !isOps(err) {
		return protocol.Reply{}, err // the whole batch is rolled back
	}
	if err != nil {
		w.counter = before
		if _, undo := w.rollbackToSavepoint.exec(background); undo != nil {
			if isNoTransaction(undo) {
				undo = errEnded
			}
			return protocol.Reply{}, undo
		}
	}
	if _, release := w.dropSavepoint.exec(background); release != nil {
		return protocol.Reply{}, release
	}
	return reply, err
}
