package store

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// reader is a connection with the prepared statements of every operation that reads. One goroutine uses it at a
// time. It can change nothing.
type reader struct {
	conn  *conn
	limit int64 // most bytes of one reply

	unlisted int64 // rows that the last operation, a list or scan, has left out

	begin, end                           *stmt
	current, load, stat, list, scan, num *stmt
	counter                              *stmt // nil on a file that was not adopted
}

// selectors are the queries over agent_state. On a file that was not adopted the columns of ours are missing.
func selectors(adopted bool) (current, load, stat, list, scan, num string) {
	revision, checksum := "revision", "checksum"
	if !adopted {
		revision, checksum = "NULL", "NULL"
	}
	meta := revision + ", CAST(updated_at AS TEXT), octet_length(state_json)"
	// Text sorts before blobs, so x'' is above every id that is text.
	inRange := " FROM agent_state WHERE agent_id >= ?1 AND agent_id < coalesce(?2, x'')"
	return "SELECT " + revision + " FROM agent_state WHERE agent_id = ?1",
		"SELECT " + revision + ", updated_at, state_json, " + checksum + " FROM agent_state WHERE agent_id = ?1",
		"SELECT " + meta + " FROM agent_state WHERE agent_id = ?1",
		"SELECT " + meta + ", agent_id" + inRange + " ORDER BY agent_id",
		"SELECT " + meta + ", agent_id, rowid FROM agent_state WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
		"SELECT count(*)" + inRange
}

func newReader(c *conn, adopted bool, limit int64) (*reader, error) {
	r := &reader{conn: c, limit: limit}
	current, load, stat, list, scan, num := selectors(adopted)
	statements := []statement{
		{&r.begin, "BEGIN"},
		{&r.end, "ROLLBACK"},
		{&r.current, current},
		{&r.load, load},
		{&r.stat, stat},
		{&r.list, list},
		{&r.scan, scan},
		{&r.num, num},
	}
	if adopted {
		statements = append(statements, statement{&r.counter, "SELECT revision FROM stated_meta WHERE id = 1"})
	}
	return r, c.prepareAll(statements)
}

// do performs a reading operation.
func (r *reader) do(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	r.unlisted = 0
	switch op.Kind() {
	case protocol.KindLoad:
		reply, err := r.doLoad(ctx, op.ID())
		return reply, orNotFound(err, reply, op)
	case protocol.KindStat:
		reply, err := r.doStat(ctx, op.ID())
		return reply, orNotFound(err, reply, op)
	case protocol.KindList:
		return r.doList(ctx, op)
	case protocol.KindScan:
		return r.doScan(ctx, op)
	case protocol.KindCount:
		return r.doCount(ctx, op)
	case protocol.KindTxn:
		return r.doTxn(ctx, op)
	default:
		return protocol.Reply{}, protocol.Errorf(protocol.CodeInvalid, "%s is not an operation by itself", op.Kind())
	}
}

func orNotFound(err error, reply protocol.Reply, op *protocol.Op) error {
	if err == nil && !reply.Found {
		return protocol.NotFound(op.ID())
	}
	return err
}

// doTxn reads several agents from one snapshot.
func (r *reader) doTxn(ctx context.Context, op *protocol.Op) (reply protocol.Reply, err error) {
	if _, err := r.begin.exec(ctx); err != nil {
		return protocol.Reply{}, err
	}
	defer func() {
		if _, end := r.end.exec(context.Background()); end != nil && !isNoTransaction(end) {
			err = errors.Join(err, end)
		}
	}()
	return r.each(op, func(op *protocol.Op) (protocol.Reply, error) { return r.inTxn(ctx, op) })
}

// each performs the operations of a transaction with f, and stops at the first error, to which it adds the index.
func (r *reader) each(op *protocol.Op, f func(*protocol.Op) (protocol.Reply, error)) (protocol.Reply, error) {
	ops := op.Ops()
	replies := make([]protocol.Reply, len(ops))
	bytes := int64(0)
	for i := range ops {
		reply, err := f(&ops[i])
		bytes += int64(len(reply.State))
		if err == nil && bytes > r.limit {
			err = r.tooLarge(bytes)
		}
		if err != nil {
			return protocol.Reply{}, at(i, err)
		}
		replies[i] = reply
	}
	return protocol.Reply{Replies: replies}, nil
}

// at adds the index of an operation to an error of its own; others concern the whole transaction.
func at(i int, err error) error {
	if !isOps(err) {
		return err
	}
	return protocol.AsError(translate(err)).With(protocol.FactIndex, strconv.Itoa(i))
}

// inTxn performs one reading operation of a transaction. There, an agent that does not exist is no error.
func (r *reader) inTxn(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	switch op.Kind() {
	case protocol.KindLoad:
		return r.doLoad(ctx, op.ID())
	case protocol.KindStat:
		return r.doStat(ctx, op.ID())
	case protocol.KindCheck:
		current, err := r.doCurrent(ctx, op.ID())
		if err != nil {
			return protocol.Reply{}, err
		}
		return protocol.Reply{Found: current != 0, Revision: current}, held(op, current)
	default:
		return protocol.Reply{}, protocol.Errorf(protocol.CodeInternal, "%s in a transaction", op.Kind())
	}
}

// held gives the CONFLICT of an operation whose condition does not hold.
func held(op *protocol.Op, current int64) error {
	if op.Condition().Holds(current) {
		return nil
	}
	return protocol.Conflict(op, current)
}

// doCurrent gives the revision of an agent, 0 when it does not exist.
func (r *reader) doCurrent(ctx context.Context, id string) (int64, error) {
	row, ok, err := r.current.Row(ctx, id)
	if err != nil || !ok {
		return 0, err
	}
	return revisionOf(row[0]), nil
}

// revisionOf reads the column revision. A row that stated has not written yet counts as revision 1.
func revisionOf(v any) int64 {
	if n, ok := v.(int64); ok && n > 1 {
		return n
	}
	return 1
}

func (r *reader) doLoad(ctx context.Context, id string) (protocol.Reply, error) {
	defer r.load.Reset()
	if err := r.load.Text(1, id); err != nil {
		return protocol.Reply{}, err
	}
	if ok, err := r.load.Step(ctx); err != nil || !ok {
		return protocol.Reply{}, err
	}
	state := append([]byte(nil), r.load.ColumnBytes(2)...)
	revision, isInt := r.load.ColumnInt(0)
	if !isInt || revision < 1 {
		revision = 1
	}
	switch sound, err := r.sound(ctx, id, state, revision); {
	case err != nil:
		return protocol.Reply{}, err
	case !sound:
		return protocol.Reply{}, protocol.Errorf(protocol.CodeCorrupt,
			"the row of agent %q is damaged: its checksum or revision does not fit; save it anew, or restore a backup", id)
	}
	return protocol.Reply{
		Found: true, Revision: revision, UpdatedAt: parseTime(string(r.load.ColumnBytes(1))), State: state, Bytes: int64(len(state)),
	}, nil
}

// sound reports whether the row that was just loaded is what was written. One of plain SQL has no checksum, but a revision
// that was given out: if the text of the schema is damaged, the columns of all rows are taken for others.
func (r *reader) sound(ctx context.Context, id string, state []byte, revision int64) (bool, error) {
	if !r.load.IsNull(3) {
		checksum, isInt := r.load.ColumnInt(3)
		return isInt && checksum == protocol.Checksum(protocol.Digest(id, state), revision), nil
	}
	if r.load.IsNull(0) { // never written since it was adopted
		return true, nil
	}
	row, ok, err := r.counter.Row(ctx)
	if err != nil || !ok { // somebody has removed it
		return false, err
	}
	stored, isInt := r.load.ColumnInt(0)
	counter, _ := row[0].(int64)
	return isInt && stored >= 1 && stored <= counter, nil
}

func (r *reader) doStat(ctx context.Context, id string) (protocol.Reply, error) {
	row, ok, err := r.stat.Row(ctx, id)
	if err != nil || !ok {
		return protocol.Reply{}, err
	}
	bytes, _ := row[2].(int64)
	return protocol.Reply{Found: true, Revision: revisionOf(row[0]), UpdatedAt: timeOf(row[1]), Bytes: bytes}, nil
}

func (r *reader) tooLarge(bytes int64) error {
	return protocol.Errorf(protocol.CodeInvalid, "the reply would have more than %d bytes, at most %d are allowed: ask for fewer agents at a time",
		bytes, r.limit).With(protocol.FactTooLarge, "1")
}

// doList gives a page in byte order. Ids that could not have come through stated are left out.
func (r *reader) doList(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	var reply protocol.Reply
	from, to := idRange(op.Prefix())
	if op.After() >= op.Prefix() && op.After() != "" {
		from = op.After() + "\x00" // the smallest text behind it
	}
	last := op.After()
	err := r.list.Each(ctx, func(row []any) (bool, error) {
		e, ok := entryOf(row)
		if !ok {
			r.unlisted++
			return true, nil
		}
		if e.ID <= last || !strings.HasPrefix(e.ID, op.Prefix()) { // who asks for page after page would never come to an end
			return false, protocol.Errorf(protocol.CodeCorrupt, "the index over the ids is damaged: %q is found behind %q", e.ID, last)
		}
		last = e.ID
		if len(reply.Entries) == op.Limit() {
			reply.Next = reply.Entries[len(reply.Entries)-1].ID
			return false, nil
		}
		reply.Entries = append(reply.Entries, e)
		return true, nil
	}, from, to)
	return reply, err
}

func (r *reader) doScan(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	var reply protocol.Reply
	rows := 0
	err := r.scan.Each(ctx, func(row []any) (bool, error) {
		rows++
		reply.Count, _ = row[4].(int64)
		if e, ok := entryOf(row); ok {
			reply.Entries = append(reply.Entries, e)
		} else {
			r.unlisted++
		}
		return true, nil
	}, op.Cursor(), int64(op.Limit()))
	if rows < op.Limit() {
		reply.Count = 0
	}
	return reply, err
}

// doCount counts the rows whose id is text. It does not look whether each such id is valid.
func (r *reader) doCount(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	from, to := idRange(op.Prefix())
	row, _, err := r.num.Row(ctx, from, to)
	if err != nil {
		return protocol.Reply{}, err
	}
	return protocol.Reply{Count: row[0].(int64)}, nil
}

// entryOf reads the columns that list and scan share.
func entryOf(row []any) (protocol.Entry, bool) {
	id, ok := row[3].(string)
	if !ok || protocol.ValidateID(id) != nil {
		return protocol.Entry{}, false
	}
	bytes, _ := row[2].(int64)
	return protocol.Entry{ID: id, Revision: revisionOf(row[0]), UpdatedAt: timeOf(row[1]), Bytes: bytes}, true
}

// idRange gives the bounds of the ids that start with prefix: at least from, below to; nil is above all text.
func idRange(prefix string) (from, to any) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < math.MaxUint8 {
			return prefix, prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return prefix, nil
}

// timeOf is parseTime for a column that is text, or NULL.
func timeOf(v any) time.Time {
	text, _ := v.(string)
	return parseTime(text)
}

// timeLayout is how updated_at is written: UTC, milliseconds.
const timeLayout = "2006-01-02 15:04:05.000"

// parseTime reads updated_at, which other programs may have written their own way; it gives the zero time for
// what it cannot read. (A fraction of a second is accepted by every layout.)
func parseTime(text string) time.Time {
	for _, layout := range [...]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Millisecond)
		}
	}
	return time.Time{}
}
