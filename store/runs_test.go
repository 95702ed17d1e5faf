package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestRuns: of saves that follow each other the last alone is written, and what looks at the agent ends a run.
func TestRuns(t *testing.T) {
	for name, test := range map[string]struct {
		batch []protocol.Op
		want  int
	}{
		"a run":                    {[]protocol.Op{save("a", "1"), save("a", "2"), save("a", "3")}, 1},
		"two runs":                 {[]protocol.Op{save("a", "1"), save("b", "1"), save("a", "2"), save("b", "2")}, 2},
		"a new agent":              {[]protocol.Op{save("new", "1"), save("b", "1"), save("new", "2")}, 3}, // an update finds none, an insert
		"a condition at the end":   {[]protocol.Op{save("a", "1"), save("a", "2"), save("a", "3", protocol.IfExists())}, 2},
		"a condition in front":     {[]protocol.Op{save("a", "1", protocol.IfExists()), save("a", "2"), save("a", "3")}, 2},
		"a conflict in the middle": {[]protocol.Op{save("a", "1"), save("a", "2", protocol.IfAbsent()), save("a", "3")}, 2},
		"a delete":                 {[]protocol.Op{save("a", "1"), del("a"), save("a", "2")}, 3}, // an update finds none, an insert
		"a delete of another":      {[]protocol.Op{save("a", "1"), del("b"), save("a", "2")}, 1},
		"a clear":                  {[]protocol.Op{save("a", "1"), protocol.Clear(), save("a", "2")}, 3},
		"a transaction":            {[]protocol.Op{save("a", "1"), txn(save("b", "1"), save("b", "2")), save("a", "2")}, 4},
		"a load":                   {[]protocol.Op{save("a", "1"), must(protocol.Load("a")), save("a", "2")}, 2},
		"a count":                  {[]protocol.Op{save("a", "1"), must(protocol.Count("")), save("a", "2")}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, tempDB(t), impatient())
			mustApply(t, s, save("a", "0"), save("b", "0"))
			got := 0
			s.BeforeSaves(func() error {
				got++
				return nil
			})
			mustApply(t, s, test.batch...)
			if got != test.want {
				t.Errorf("%d statements, want %d", got, test.want)
			}
		})
	}
}

// TestRuns_Replies: whatever a batch has, its replies and what it leaves are those of its operations one after the other.
func TestRuns_Replies(t *testing.T) {
	const check = `CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json TEXT NOT NULL%s, updated_at TIMESTAMP);`
	for name, test := range map[string]struct{ before, after string }{
		"a file of stated":       {},
		"the project's file":     {before: fmt.Sprintf(check, "")},
		"a check":                {before: fmt.Sprintf(check, " cHeCk(state_json <> '1')")},
		"a unique state":         {after: "CREATE UNIQUE INDEX u ON agent_state (state_json)"},
		"a computed column":      {after: "ALTER TABLE agent_state ADD COLUMN n AS (CAST(state_json AS INTEGER) % 2)"},
		"a computed constraint":  {before: "CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json TEXT, updated_at TEXT, n AS (nullif(state_json, '1')) NOT NULL)"},
		"a trigger that refuses": {after: "CREATE TRIGGER u BEFORE UPDATE ON agent_state WHEN NEW.state_json = '1' BEGIN SELECT RAISE(FAIL, 'no'); END"},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			rng := rand.New(rand.NewPCG(seed, 0))
			open := func() *store.Store {
				path := tempDB(t)
				if test.before != "" {
					mustMake(t, path, test.before)
				}
				o := impatient()
				o.Now = func() time.Time { return time.UnixMilli(1) }
				s := mustOpen(t, path, o)
				if test.after != "" {
					mustExec(t, mustOutsider(t, path), test.after)
				}
				return s
			}
			together, alone := open(), open()
			for n := range 60 {
				var ops []protocol.Op
				for range 1 + rng.IntN(12) {
					ops = append(ops, someOp(rng, true))
				}
				var want []protocol.Reply
				for _, op := range ops {
					want = append(want, mustApply(t, alone, op)...)
				}
				if diff := cmp.Diff(want, mustApply(t, together, ops...), sameText); diff != "" {
					t.Fatalf("seed %d, batch %d: %s", seed, n, diff)
				}
				for _, id := range ids {
					want, _ := load(t, alone, id)
					got, _ := load(t, together, id)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("seed %d, batch %d leaves another %s: %s", seed, n, id, diff)
					}
				}
			}
		})
	}
}

var ids = []string{"a", "b", "c"}

// someOp draws an operation of a batch, most often a save.
func someOp(rng *rand.Rand, txns bool) protocol.Op {
	id := ids[rng.IntN(len(ids))]
	state := fmt.Sprint(rng.IntN(3))
	switch n := rng.IntN(24); {
	case n == 0:
		return save(id, state, protocol.IfAbsent())
	case n == 1:
		return save(id, state, protocol.IfExists())
	case n == 2:
		return del(id)
	case n == 3:
		return must(protocol.Load(id))
	case n == 4 && txns:
		return protocol.Clear()
	case n <= 6 && txns:
		return txn(someOp(rng, false), someOp(rng, false))
	default:
		return save(id, state)
	}
}

// sameText compares errors by what they say.
var sameText = cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })

// TestRuns_Refused: when the last save of a run fails, each of the others has its own outcome.
func TestRuns_Refused(t *testing.T) {
	for failing, state := range []string{"3", "3", "3", "3", "2"} { // the write of the run, and then one after the other
		t.Run(fmt.Sprint(failing), func(t *testing.T) {
			s := mustOpen(t, tempDB(t), impatient())
			highest := mustApply(t, s, save("a", "0"), save("b", "0"))[1].Revision
			n := 0
			s.BeforeSaves(func() error {
				if n++; failing > 0 && n == 1 || n == failing {
					return store.DriverError(19, "constraint")
				}
				return nil
			})
			replies := mustApply(t, s, save("a", "1"), save("a", "2"), save("a", "3"), save("b", "1"))
			for i, r := range replies {
				if failing > 1 && i == failing-2 {
					wantCode(t, r.Err, protocol.CodeInvalid)
					continue
				}
				if r.Err != nil || !r.Found || r.Revision <= highest {
					t.Errorf("save %d: %+v, after revision %d", i, r, highest)
				}
				highest = r.Revision
			}
			if r, err := load(t, s, "a"); err != nil || string(r.State) != state {
				t.Errorf("a: %s, %v; want %s", r.State, err, state)
			}
		})
	}
}

// TestRuns_ForeignRevision: a revision that somebody else wrote into the row is below those of the whole run, or refuses it.
func TestRuns_ForeignRevision(t *testing.T) {
	s := share(t)
	const ahead = 1000
	s.exec("UPDATE agent_state SET revision = ? WHERE agent_id = 'a'", ahead)
	last := int64(ahead)
	replies := mustApply(t, s.s, save("a", "1"), save("new", "1", protocol.IfAbsent()), save("a", "2"), save("a", "3"))
	for _, i := range []int{0, 2, 3} {
		if r := replies[i]; r.Err != nil || !r.Found || r.Revision <= last {
			t.Errorf("save %d: %+v", i, r)
		}
		last = replies[i].Revision
	}
	if replies[1].Err != nil { // it is not performed again
		t.Errorf("the other agent: %v", replies[1].Err)
	}
	if r, err := load(t, s.s, "a"); err != nil || string(r.State) != "3" || r.Revision != last {
		t.Errorf("%+v, %v; the last save had revision %d", r, err, last)
	}

	s.exec("UPDATE agent_state SET revision = ? WHERE agent_id = 'a'", int64(1)<<62+1)
	replies = mustApply(t, s.s, save("a", "4"), save("b", "4"), save("a", "5"), save("b", "5"))
	for i, want := range []protocol.Code{protocol.CodeCorrupt, "", protocol.CodeCorrupt, ""} {
		wantCode(t, replies[i].Err, want)
	}
	s.exec("DELETE FROM agent_state WHERE agent_id = 'a'")
}
