package protocol

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Limits of one operation. The largest state is configurable, see [Op.CheckStateBytes].
const (
	MaxIDBytes       = 512     // bytes of an agent id
	MaxDepth         = 1_000   // levels of nesting in a state
	MaxTxnOps        = 1_024   // operations in one transaction
	MaxBulkOps       = 65_536  // agents in one operation over many of them, see Bulk
	MaxListLimit     = 10_000  // entries in one page of a list
	DefaultListLimit = 100     // entries in a page when the caller names none
	MaxStateBytes    = 8 << 20 // bytes of a state, unless configured otherwise
)

// opOverheadBytes is what an Op without id and state is counted as: about its size in memory.
const opOverheadBytes = 192

// Kind tells operations apart.
type Kind uint8

// The operations.
const (
	KindSave   Kind = iota + 1 // write the state of one agent
	KindLoad                   // read the state of one agent
	KindStat                   // as load, with the size of the state in place of its bytes
	KindDelete                 // remove one agent
	KindCheck                  // hold a condition, in a transaction
	KindList                   // a page of agent ids in byte order
	KindScan                   // a page of agents in the store's own order
	KindCount                  // how many agents there are
	KindClear                  // remove every agent
	KindTxn                    // several operations, all or nothing
)

var kindNames = [...]string{
	KindSave: "save", KindLoad: "load", KindStat: "stat", KindDelete: "delete", KindCheck: "check",
	KindList: "list", KindScan: "scan", KindCount: "count", KindClear: "clear", KindTxn: "txn",
}

// Kinds gives the operations that a request can be: every one but check, which stands in transactions alone.
func Kinds() []Kind {
	var all []Kind
	for k := range kindNames {
		if kind := Kind(k); kindNames[k] != "" && kind != KindCheck { //nolint:gosec // there are a few
			all = append(all, kind)
		}
	}
	return all
}

// String gives the operation's name in lower case, as logs and metrics show it.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Op is one validated operation. It is immutable: the state that was given to a constructor belongs to the Op
// from then on and must not be changed. The zero Op is not valid.
type Op struct {
	kind   Kind
	skip   bool
	writes bool // of a transaction: some operation of it writes
	limit  int
	cursor int64
	id     string
	prefix string
	after  string
	cond   Condition
	state  []byte
	digest uint64
	size   int
	ops    []Op
}

// Save writes state for the agent id if cond holds (the zero Condition always does). It returns INVALID for a
// bad id or for a state that is not JSON.
func Save(id string, state []byte, cond Condition) (Op, error) {
	if err := ValidateID(id); err != nil {
		return Op{}, err
	}
	if err := ValidateState(state); err != nil {
		return Op{}, err
	}
	if err := cond.validate(); err != nil {
		return Op{}, err
	}
	return Op{
		kind: KindSave, id: id, state: state, cond: cond, digest: Digest(id, state),
		size: opOverheadBytes + len(id) + len(state),
	}, nil
}

// Load reads the state of the agent id. It returns INVALID for a bad id.
func Load(id string) (Op, error) { return onAgent(KindLoad, id, Condition{}) }

// Stat reads everything of the agent id but its state. It returns INVALID for a bad id.
func Stat(id string) (Op, error) { return onAgent(KindStat, id, Condition{}) }

// Delete removes the agent id if cond holds. It returns INVALID for a bad id, and for [IfAbsent], which makes
// no sense here.
func Delete(id string, cond Condition) (Op, error) {
	if cond.kind == condAbsent {
		return Op{}, Errorf(CodeInvalid, "a delete cannot ask that the agent be absent")
	}
	return onAgent(KindDelete, id, cond)
}

// Check holds cond for the agent id inside a transaction. It returns INVALID for a bad id or for the zero
// Condition.
func Check(id string, cond Condition) (Op, error) {
	if cond.kind == condNone {
		return Op{}, Errorf(CodeInvalid, "a check needs a condition: absent, exists or a revision")
	}
	return onAgent(KindCheck, id, cond)
}

func onAgent(kind Kind, id string, cond Condition) (Op, error) {
	if err := ValidateID(id); err != nil {
		return Op{}, err
	}
	if err := cond.validate(); err != nil {
		return Op{}, err
	}
	return Op{kind: kind, id: id, cond: cond, size: opOverheadBytes + len(id)}, nil
}

// List reads a page of the agents whose id starts with prefix, in byte order, behind the id after. A limit of 0
// means [DefaultListLimit]. It returns INVALID for a limit out of range or for text that no id can contain.
func List(prefix, after string, limit int) (Op, error) {
	if limit == 0 {
		limit = DefaultListLimit
	}
	if limit < 0 || limit > MaxListLimit {
		return Op{}, Errorf(CodeInvalid, "limit %d is out of range: 1 to %d", limit, MaxListLimit)
	}
	if err := validateIDPart("prefix", prefix); err != nil {
		return Op{}, err
	}
	if err := validateIDPart("after", after); err != nil {
		return Op{}, err
	}
	return Op{
		kind: KindList, prefix: prefix, after: after, limit: limit,
		size: opOverheadBytes + len(prefix) + len(after),
	}, nil
}

// Scan reads a page of agents in the store's own order, behind the cursor; 0 begins. It is cheaper to resume
// than a list and takes no id: every agent that exists from the first page to the last is given at least once.
// Reply.Count is the next cursor, 0 on the last page. It returns INVALID for a number out of range.
func Scan(cursor int64, limit int) (Op, error) {
	if cursor < 0 {
		return Op{}, Errorf(CodeInvalid, "cursor %d is out of range: cursors start at 0", cursor)
	}
	if limit < 1 || limit > MaxListLimit {
		return Op{}, Errorf(CodeInvalid, "limit %d is out of range: 1 to %d", limit, MaxListLimit)
	}
	return Op{kind: KindScan, cursor: cursor, limit: limit, size: opOverheadBytes}, nil
}

// Count counts the agents whose id starts with prefix. It returns INVALID for text that no id can contain.
func Count(prefix string) (Op, error) {
	if err := validateIDPart("prefix", prefix); err != nil {
		return Op{}, err
	}
	return Op{kind: KindCount, prefix: prefix, size: opOverheadBytes + len(prefix)}, nil
}

// Clear removes every agent.
func Clear() Op { return Op{kind: KindClear, size: opOverheadBytes} }

// Txn performs Save, Load, Stat, Delete and Check operations in order, all or nothing. The slice belongs to the Op
// from then on. It returns INVALID for
// more than [MaxTxnOps] of them, for none, or for an operation of another kind.
func Txn(ops ...Op) (Op, error) { return txn(ops, MaxTxnOps) }

// Bulk is [Txn] for one operation over many agents (as MSET, MGET and DEL are): up to [MaxBulkOps] of them.
func Bulk(ops ...Op) (Op, error) { return txn(ops, MaxBulkOps) }

func txn(ops []Op, most int) (Op, error) {
	if len(ops) == 0 {
		return Op{}, Errorf(CodeInvalid, "the transaction is empty")
	}
	if len(ops) > most {
		return Op{}, Errorf(CodeInvalid, "the transaction has %d operations, at most %d are allowed", len(ops), most)
	}
	t := Op{kind: KindTxn, ops: ops, size: opOverheadBytes}
	for i := range ops {
		switch ops[i].kind {
		case KindSave, KindDelete:
			t.writes = true
		case KindLoad, KindStat, KindCheck:
		default:
			return Op{}, Errorf(CodeInvalid, "operation %d: %s is not allowed in a transaction", i, ops[i].kind)
		}
		t.size += ops[i].size
	}
	return t, nil
}

// OrSkip gives the operation, changed so that in a transaction its failed condition skips it alone (its reply
// says so) and the others go on. It is what SET NX inside MULTI means.
func (o Op) OrSkip() Op {
	o.skip = true
	return o
}

// Kind tells which operation it is; 0 for the zero Op.
func (o *Op) Kind() Kind { return o.kind }

// ID is the agent id of a save, load, stat, delete or check.
func (o *Op) ID() string { return o.id }

// State is what a save writes. It must not be changed.
func (o *Op) State() []byte { return o.state }

// Digest is [Digest] of a save's id and state.
func (o *Op) Digest() uint64 { return o.digest }

// Condition is what has to hold for a save, delete or check.
func (o *Op) Condition() Condition { return o.cond }

// Skip reports whether a failed condition skips this operation alone, see [Op.OrSkip].
func (o *Op) Skip() bool { return o.skip }

// Prefix is what listed or counted ids start with.
func (o *Op) Prefix() string { return o.prefix }

// After is the id behind which a list begins.
func (o *Op) After() string { return o.after }

// Cursor is where a scan goes on.
func (o *Op) Cursor() int64 { return o.cursor }

// Limit is the most entries of a list or scan.
func (o *Op) Limit() int { return o.limit }

// Ops are the operations of a transaction. They must not be changed.
func (o *Op) Ops() []Op { return o.ops }

// Size is about how many bytes of memory the operation takes.
func (o *Op) Size() int { return o.size }

// Writes reports whether the operation can change the store, and so has to pass the writer.
func (o *Op) Writes() bool {
	switch o.kind {
	case KindSave, KindDelete, KindClear:
		return true
	default:
		return o.writes
	}
}

// CheckStateBytes returns INVALID when a state of the operation is larger than most bytes.
func (o *Op) CheckStateBytes(most int) error {
	if len(o.state) > most {
		return Errorf(CodeInvalid, "the state of agent %q has %d bytes, at most %d are allowed", o.id, len(o.state), most).
			With(FactTooLarge, "1")
	}
	for i := range o.ops {
		if err := o.ops[i].CheckStateBytes(most); err != nil {
			return err
		}
	}
	return nil
}

// Digest is the part of a row's checksum that needs no revision: XXH64 over the length of id (8 bytes, little
// endian), id and state. It is computed by the caller, not by the writer.
func Digest(id string, state []byte) uint64 {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(id)))
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(length[:]) // Digest.Write never fails
	_, _ = d.WriteString(id)
	_, _ = d.Write(state)
	return d.Sum64()
}

// Checksum seals a digest with the revision of the row: XXH64 over both, 8 bytes each, little endian. It is the
// value of the column checksum.
func Checksum(digest uint64, revision int64) int64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], digest)
	binary.LittleEndian.PutUint64(b[8:], uint64(revision))
	return int64(xxhash.Sum64(b[:])) //nolint:gosec // the bits are kept, the sign means nothing
}
