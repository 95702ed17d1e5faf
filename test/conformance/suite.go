package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stated/stated/protocol"
)

// Fixture is a handler that leads to an empty store of its own.
type Fixture struct {
	Handler protocol.Handler
	// Skips says that operations marked [protocol.Op.OrSkip] are possible; where they are not they are INVALID.
	Skips bool
	// Scans says that a scan is possible; where it is not it is INVALID.
	Scans bool
	// Bulk is the most operations in one transaction.
	Bulk int
	// Close ends what Handler is. It may be called more than once.
	Close func()
	// Stop ends the writer at the other end. It may be called more than once.
	Stop func()
}

// StateBytes is the largest state that the suite expects a fixture to accept, and OutputBytes the most that one reply
// may load.
const (
	StateBytes  = protocol.MaxStateBytes
	OutputBytes = 32 << 20
)

// guard is how long the suite waits for what must happen.
const guard = 30 * time.Second

// suite is one test of the suite, with a fixture of its own.
type suite struct {
	*testing.T
	protocol.Methods
	fixture Fixture
	ctx     context.Context
}

// Run runs the suite. It calls fixture once for each of its tests; what that registers with tb.Cleanup ends it.
func Run(t *testing.T, fixture func(tb testing.TB) Fixture) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"Operations", operations},
		{"Conditions", conditions},
		{"Skips", skips},
		{"States", states},
		{"LargeStates", largeStates},
		{"Ids", ids},
		{"Limits", limits},
		{"Transactions", transactions},
		{"TransactionFails", transactionFails},
		{"TransactionReads", transactionReads},
		{"Lists", lists},
		{"ListEnds", listEnds},
		{"ListWhileChanging", listWhileChanging},
		{"CountAndClear", countAndClear},
		{"Revisions", revisions},
		{"Order", order},
		{"Increments", increments},
		{"OneCreates", oneCreates},
		{"WholeTransactions", wholeTransactions},
		{"Contexts", contexts},
		{"Left", left},
		{"Closed", closed},
		{"Stopped", stopped},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := fixture(t)
			ctx, cancel := context.WithTimeout(t.Context(), guard)
			defer cancel()
			test.run(&suite{T: t, Methods: protocol.Methods{Handler: f.Handler}, fixture: f, ctx: ctx})
		})
	}
}

// must gives an operation that is known to be valid.
func must(op protocol.Op, err error) protocol.Op {
	if err != nil {
		panic(err)
	}
	return op
}

func saveOp(id, state string) protocol.Op { return saveIf(id, state, protocol.Condition{}) }

func saveIf(id, state string, cond protocol.Condition) protocol.Op {
	return must(protocol.Save(id, []byte(state), cond))
}

func loadOp(id string) protocol.Op   { return must(protocol.Load(id)) }
func statOp(id string) protocol.Op   { return must(protocol.Stat(id)) }
func deleteOp(id string) protocol.Op { return must(protocol.Delete(id, protocol.Condition{})) }

func checkOp(id string, cond protocol.Condition) protocol.Op { return must(protocol.Check(id, cond)) }

// do performs an operation of which the test does not expect an error.
func (s *suite) do(op protocol.Op) protocol.Reply {
	s.Helper()
	reply, err := protocol.Do(s.ctx, s.Handler, op)
	if err != nil {
		s.Fatalf("%s %.80q: %v", op.Kind(), op.ID(), err)
	}
	return reply
}

// txn is do for a transaction.
func (s *suite) txn(ops ...protocol.Op) []protocol.Reply {
	s.Helper()
	return s.do(must(protocol.Txn(ops...))).Replies
}

// save gives the revision of a save that has to succeed.
func (s *suite) save(id, state string) int64 {
	s.Helper()
	return s.do(saveOp(id, state)).Revision
}

// wantError performs an operation that has to fail with a code and facts.
func (s *suite) wantError(op protocol.Op, code protocol.Code, facts ...protocol.Fact) {
	s.Helper()
	_, err := protocol.Do(s.ctx, s.Handler, op)
	s.isError(op.Kind().String()+" "+op.ID(), err, code, facts...)
}

func (s *suite) isError(what string, err error, code protocol.Code, facts ...protocol.Fact) {
	s.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != code {
		s.Errorf("%.80q: got %v, want %s", what, err, code)
		return
	}
	if diff := cmp.Diff(sorted(facts), sorted(e.Facts)); diff != "" {
		s.Errorf("%.80q: %v: facts (-want +got)\n%s", what, err, diff)
	}
}

func sorted(facts []protocol.Fact) []protocol.Fact {
	return slices.SortedFunc(slices.Values(facts), func(a, b protocol.Fact) int { return strings.Compare(a.Key, b.Key) })
}

func current(revision string) protocol.Fact {
	return protocol.Fact{Key: protocol.FactCurrentRevision, Value: revision}
}
func index(i string) protocol.Fact { return protocol.Fact{Key: protocol.FactIndex, Value: i} }

// same compares replies, but for their times and for what nobody says of a check.
func (s *suite) same(what string, want, got any) {
	s.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(time.Time{})); diff != "" {
		s.Errorf("%.80q: (-want +got)\n%s", what, diff)
	}
}

// isTime says that a time is one that stated gives: UTC and whole milliseconds.
func (s *suite) isTime(what string, at time.Time) {
	s.Helper()
	if at.IsZero() || at.Location() != time.UTC || !at.Equal(at.Truncate(time.Millisecond)) {
		s.Errorf("%s: updated_at is %v", what, at)
	}
}
