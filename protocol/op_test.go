package protocol_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
)

// must takes the result of a constructor that has to succeed.
func must(tb testing.TB) func(protocol.Op, error) protocol.Op {
	return func(op protocol.Op, err error) protocol.Op {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return op
	}
}

func TestConstructors(t *testing.T) {
	ok := must(t)
	state := []byte(" {\"n\" : 1}\n")
	save := ok(protocol.Save("a", state, protocol.IfRevision(3)))
	load := ok(protocol.Load("a"))
	stat := ok(protocol.Stat("a"))
	del := ok(protocol.Delete("a", protocol.IfExists()))
	check := ok(protocol.Check("a", protocol.IfAbsent()))
	for _, tt := range []struct {
		name   string
		op     protocol.Op
		kind   protocol.Kind
		id     string
		cond   protocol.Condition
		writes bool
	}{
		{"save", save, protocol.KindSave, "a", protocol.IfRevision(3), true},
		{"load", load, protocol.KindLoad, "a", protocol.Condition{}, false},
		{"stat", stat, protocol.KindStat, "a", protocol.Condition{}, false},
		{"delete", del, protocol.KindDelete, "a", protocol.IfExists(), true},
		{"check", check, protocol.KindCheck, "a", protocol.IfAbsent(), false},
		{"list", ok(protocol.List("p", "q", 7)), protocol.KindList, "", protocol.Condition{}, false},
		{"scan", ok(protocol.Scan(5, 1)), protocol.KindScan, "", protocol.Condition{}, false},
		{"count", ok(protocol.Count("p")), protocol.KindCount, "", protocol.Condition{}, false},
		{"clear", protocol.Clear(), protocol.KindClear, "", protocol.Condition{}, true},
		{"txn", ok(protocol.Txn(load, stat, check)), protocol.KindTxn, "", protocol.Condition{}, false},
		{"txn", ok(protocol.Txn(load, save)), protocol.KindTxn, "", protocol.Condition{}, true},
		{"txn", ok(protocol.Bulk(load, del)), protocol.KindTxn, "", protocol.Condition{}, true},
		{"kind(0)", protocol.Op{}, 0, "", protocol.Condition{}, false},
	} {
		op := tt.op
		if op.Kind() != tt.kind || op.Kind().String() != tt.name || op.ID() != tt.id ||
			op.Condition() != tt.cond || op.Writes() != tt.writes {
			t.Errorf("%s: %v, id %q, condition %v, writes %v", tt.name, op.Kind(), op.ID(), op.Condition(), op.Writes())
		}
	}
	if got := save.State(); string(got) != " {\"n\" : 1}\n" {
		t.Errorf("the state became %q", got)
	}
	if want := protocol.Digest("a", state); save.Digest() != want {
		t.Errorf("the digest is %#x, want %#x", save.Digest(), want)
	}
	if got := protocol.Kind(200).String(); got != "kind(200)" {
		t.Errorf("an unknown kind is called %q", got)
	}
}

func TestConstructors_Refuse(t *testing.T) {
	state := []byte("{}")
	zero := protocol.IfRevision(0)
	second := func(_ any, err error) error { return err }
	load := must(t)(protocol.Load("a"))
	txn := must(t)(protocol.Txn(load))
	list := must(t)(protocol.List("", "", 0))
	long := strings.Repeat("a", 513)
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"save without id", second(protocol.Save("", state, protocol.Condition{})), "the agent id is empty"},
		{"save without state", second(protocol.Save("a", nil, protocol.Condition{})), "it is empty"},
		{"save of no JSON", second(protocol.Save("a", []byte("{"), protocol.Condition{})), "state is not JSON at byte 1"},
		{"save at revision 0", second(protocol.Save("a", state, zero)), "revision 0 is out of range"},
		{"load without id", second(protocol.Load("")), "the agent id is empty"},
		{"stat of a long id", second(protocol.Stat(long)), "513 bytes"},
		{"delete without id", second(protocol.Delete("", protocol.Condition{})), "the agent id is empty"},
		{"delete if absent", second(protocol.Delete("a", protocol.IfAbsent())), "cannot ask that the agent be absent"},
		{"delete at revision -1", second(protocol.Delete("a", protocol.IfRevision(-1))), "revision -1 is out of range"},
		{"check without id", second(protocol.Check("", protocol.IfExists())), "the agent id is empty"},
		{"check without condition", second(protocol.Check("a", protocol.Condition{})), "a check needs a condition"},
		{"check at revision 0", second(protocol.Check("a", zero)), "revision 0 is out of range"},
		{"list of too many", second(protocol.List("", "", 10_001)), "limit 10001 is out of range: 1 to 10000"},
		{"list of less than none", second(protocol.List("", "", -1)), "limit -1 is out of range"},
		{"list of a long prefix", second(protocol.List(long, "", 0)), "the prefix has 513 bytes"},
		{"list behind no text", second(protocol.List("", "\xff", 0)), "the after is not valid UTF-8 at byte 0"},
		{"scan behind nothing", second(protocol.Scan(-1, 1)), "cursor -1 is out of range"},
		{"scan of nothing", second(protocol.Scan(0, 0)), "limit 0 is out of range: 1 to 10000"},
		{"scan of too many", second(protocol.Scan(0, 10_001)), "limit 10001 is out of range"},
		{"count of a control character", second(protocol.Count("\x00")), "the prefix has the control character"},
		{"txn of nothing", second(protocol.Txn()), "the transaction is empty"},
		{"bulk of nothing", second(protocol.Bulk()), "the transaction is empty"},
		{"txn in a txn", second(protocol.Txn(load, txn)), "operation 1: txn is not allowed"},
		{"list in a txn", second(protocol.Txn(list)), "operation 0: list is not allowed"},
		{"clear in a bulk", second(protocol.Bulk(protocol.Clear())), "operation 0: clear is not allowed"},
		{"zero operation in a txn", second(protocol.Txn(protocol.Op{})), "operation 0: kind(0) is not allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if e := mustInvalid(t, tt.err); !strings.Contains(e.Message, tt.want) {
				t.Errorf("got %q, want %q", e.Message, tt.want)
			}
		})
	}
}

func TestList_Limit(t *testing.T) {
	for given, want := range map[int]int{0: protocol.DefaultListLimit, 1: 1, 10_000: 10_000} {
		op := must(t)(protocol.List("prefix", "after", given))
		if op.Limit() != want || op.Prefix() != "prefix" || op.After() != "after" {
			t.Errorf("limit %d became %d, behind %q, of %q", given, op.Limit(), op.After(), op.Prefix())
		}
	}
}

func TestScan_Page(t *testing.T) {
	op := must(t)(protocol.Scan(1<<62, 10_000))
	if op.Cursor() != 1<<62 || op.Limit() != 10_000 {
		t.Errorf("cursor %d, limit %d", op.Cursor(), op.Limit())
	}
}

func TestTxn_Limits(t *testing.T) {
	load := must(t)(protocol.Load("a"))
	for _, tt := range []struct {
		name string
		make func(...protocol.Op) (protocol.Op, error)
		most int
	}{{"Txn", protocol.Txn, protocol.MaxTxnOps}, {"Bulk", protocol.Bulk, protocol.MaxBulkOps}} {
		ops := slices.Repeat([]protocol.Op{load}, tt.most+1)
		op := must(t)(tt.make(ops[:tt.most]...))
		if got := len(op.Ops()); got != tt.most {
			t.Errorf("%s of %d operations has %d", tt.name, tt.most, got)
		}
		_, err := tt.make(ops...)
		mustInvalid(t, err)
	}
}

// TestOp_Size holds that a size covers everything that the operation keeps in memory, and adds up.
func TestOp_Size(t *testing.T) {
	save := must(t)(protocol.Save("agent", []byte("[1,2,3]"), protocol.Condition{}))
	load := must(t)(protocol.Load("agent"))
	if got := save.Size() - load.Size(); got != len("[1,2,3]") {
		t.Errorf("a save is %d bytes larger than a load, want 7", got)
	}
	txn := must(t)(protocol.Txn(save, load))
	if clear := protocol.Clear(); txn.Size() != clear.Size()+save.Size()+load.Size() {
		t.Errorf("a transaction of %d and %d bytes has %d", save.Size(), load.Size(), txn.Size())
	}
}

func TestOp_OrSkip(t *testing.T) {
	save := must(t)(protocol.Save("a", []byte("1"), protocol.IfAbsent()))
	skip := save.OrSkip()
	if save.Skip() || !skip.Skip() {
		t.Errorf("Skip() = %v before and %v after OrSkip", save.Skip(), skip.Skip())
	}
}

func TestOp_CheckStateBytes(t *testing.T) {
	ok := must(t)
	small := ok(protocol.Save("small", []byte(`"12"`), protocol.Condition{}))
	large := ok(protocol.Save("large", []byte(`"123"`), protocol.Condition{}))
	for _, tt := range []struct {
		name string
		op   protocol.Op
		want string
	}{
		{"at the limit", small, ""},
		{"above", large, `the state of agent "large" has 5 bytes, at most 4 are allowed`},
		{"all at the limit", ok(protocol.Txn(small, small)), ""},
		{"one above", ok(protocol.Txn(small, large)), `agent "large"`},
		{"no state at all", ok(protocol.Load("a")), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.op.CheckStateBytes(4)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := mustInvalid(t, err)
			if fact, _ := e.Fact(protocol.FactTooLarge); fact != "1" || !strings.Contains(e.Message, tt.want) {
				t.Errorf("got %v, want too_large=1 and %q", e, tt.want)
			}
			if errors.Is(err, protocol.CodeFull) {
				t.Error("a large state is not a full disk")
			}
		})
	}
}

// TestDigest_Golden pins the checksums of the file format: another value here makes every file corrupt.
func TestDigest_Golden(t *testing.T) {
	for _, tt := range []struct {
		id, state string
		digest    uint64
		checksums map[int64]int64 // by revision
	}{
		{"", "", 0x34c96acdcadb1bbb, map[int64]int64{1: -3743883407806123207}},
		{"a", "{}", 0x881bac758aa86a0e, map[int64]int64{1: -1306227665229499401, 2: 2281468104416419545}},
		{
			"agent", `{"n":1}`, 0x917c290f7e4f6edf,
			map[int64]int64{1: -6694841811016718548, 2: 3198220019095786255, -1 << 63: 8112233532369041860},
		},
		{"é", `"\u0000"`, 0x3e0aed286ea67ea9, map[int64]int64{1: -128859277623196843}},
	} {
		digest := protocol.Digest(tt.id, []byte(tt.state))
		if digest != tt.digest {
			t.Errorf("Digest(%q, %q) = %#016x, want %#016x", tt.id, tt.state, digest, tt.digest)
		}
		for revision, want := range tt.checksums {
			if got := protocol.Checksum(tt.digest, revision); got != want {
				t.Errorf("Checksum(%#x, %d) = %d, want %d", tt.digest, revision, got, want)
			}
		}
	}
}

func TestDigest_IsNotAmbiguous(t *testing.T) {
	seen := map[uint64][2]string{}
	for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}} {
		digest := protocol.Digest(pair[0], []byte(pair[1]))
		if other, twice := seen[digest]; twice {
			t.Errorf("%q and %q have the same digest", pair, other)
		}
		seen[digest] = pair
	}
}

// TestKinds: every operation is told apart by a name, and one alone is no request.
func TestKinds(t *testing.T) {
	var names []string
	for _, kind := range protocol.Kinds() {
		names = append(names, kind.String())
	}
	want := []string{"save", "load", "stat", "delete", "list", "scan", "count", "clear", "txn"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if next := (protocol.KindTxn + 1).String(); next != "kind(11)" {
		t.Errorf("there is a %s, too", next)
	}
}
