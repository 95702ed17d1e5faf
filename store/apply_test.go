package store_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
)

// TestApply_Conditions: every operation with every condition, on an agent that exists (at revision 1) and one that
// does not.
func TestApply_Conditions(t *testing.T) {
	const conflict = protocol.CodeConflict
	for _, test := range []struct {
		cond            protocol.Condition
		exists, missing protocol.Code
	}{
		{protocol.Condition{}, "", ""},
		{protocol.IfAbsent(), conflict, ""},
		{protocol.IfExists(), "", conflict},
		{protocol.IfRevision(1), "", conflict},
		{protocol.IfRevision(2), conflict, conflict},
	} {
		for _, kind := range []protocol.Kind{protocol.KindSave, protocol.KindDelete, protocol.KindCheck} {
			for id, want := range map[string]protocol.Code{"a": test.exists, "none": test.missing} {
				t.Run(fmt.Sprintf("%v if %v %s", kind, test.cond, id), func(t *testing.T) {
					s := mustOpen(t, tempDB(t), impatient())
					mustApply(t, s, save("a", "1"))
					var op protocol.Op
					var err error
					switch kind {
					case protocol.KindSave:
						op, err = protocol.Save(id, []byte("2"), test.cond)
					case protocol.KindDelete:
						op, err = protocol.Delete(id, test.cond)
					default:
						op, err = protocol.Check(id, test.cond)
					}
					if err != nil {
						wantCode(t, err, protocol.CodeInvalid) // there is no such operation
						return
					}
					inTxn := txn(save("before", "1"), op)
					if kind != protocol.KindCheck {
						op := op
						defer func() { wantSkipped(t, op, want) }()
						replies := mustApply(t, s, op)
						wantConflict(t, replies[0].Err, want, id, -1)
						s = mustOpen(t, tempDB(t), impatient())
						mustApply(t, s, save("a", "1"))
					}
					r := mustApply(t, s, inTxn)[0]
					wantConflict(t, r.Err, want, id, 1)
					_, err = load(t, s, "before")
					if (err == nil) != (want == "") {
						t.Errorf("the operation before it: %v", err)
					}
				})
			}
		}
	}
}

func wantConflict(t *testing.T, err error, want protocol.Code, id string, index int) {
	t.Helper()
	wantCode(t, err, want)
	if err == nil || want == "" {
		return
	}
	current := int64(0)
	if id == "a" {
		current = 1
	}
	if got, ok := protocol.CurrentRevision(err); !ok || got != current {
		t.Errorf("current revision %d in %v", got, err)
	}
	if got, ok := protocol.ConflictIndex(err); ok != (index >= 0) || ok && got != index {
		t.Errorf("index %d in %v", got, err)
	}
}

// wantSkipped: the same operation, marked to be skipped, fails nothing.
func wantSkipped(t *testing.T, op protocol.Op, code protocol.Code) {
	t.Helper()
	s := mustOpen(t, tempDB(t), impatient())
	mustApply(t, s, save("a", "1"))
	r := mustApply(t, s, txn(save("before", "1"), op.OrSkip(), save("after", "1")))[0]
	if r.Err != nil || r.Replies[1].Skipped != (code != "") {
		t.Errorf("skipped: %+v", r)
	}
	if got := r.Replies[2].Revision - r.Replies[0].Revision; code != "" && got != 1 {
		t.Errorf("what was skipped took %d revisions", got-1)
	}
	if alone := mustApply(t, s, op.OrSkip())[0]; alone.Err != nil {
		t.Errorf("skipped alone: %v", alone.Err)
	}
}

// TestApply_Revisions: which changes take one, and that it never comes again.
func TestApply_Revisions(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, impatient())
	want := int64(0)
	step := func(what string, op protocol.Op, takes bool) {
		t.Helper()
		r, err := apply1(t, s, op)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if takes {
			want++
		}
		if takes && r.Revision != want || !takes && r.Revision != 0 {
			t.Errorf("%s: revision %d, the last one was %d", what, r.Revision, want)
		}
		if got := mustCheck(t, path).Revision; got != want {
			t.Errorf("%s: the counter is %d, want %d", what, got, want)
		}
	}
	for range 2 {
		step("save", save("a", "1"), true)
		step("same bytes", save("a", "1"), true)
		step("delete of nothing", del("none"), false)
		step("delete", del("a"), true)
		step("delete again", del("a"), false)
		step("create again", save("a", "1"), true)
		step("clear", protocol.Clear(), true)
		step("clear of nothing", protocol.Clear(), true)
		mustClose(t, s)
		s = mustOpen(t, path, impatient())
	}
	if _, err := apply1(t, s, save("a", "1", protocol.IfExists())); err == nil {
		t.Error("no conflict")
	}
	step("save after a conflict", save("a", "1"), true)
	if _, err := apply1(t, s, txn(save("b", "1"), save("c", "1"), must(protocol.Check("d", protocol.IfExists())))); err == nil {
		t.Error("no conflict")
	}
	step("save after a failed transaction", save("a", "1"), true)
}

func TestApply_Txn(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	mustApply(t, s, save("a", "0"))
	r, err := apply1(t, s, txn(
		must(protocol.Load("a")), save("a", "1", protocol.IfRevision(1)), must(protocol.Load("a")),
		save("a", "22", protocol.IfRevision(2)), must(protocol.Stat("a")), del("a", protocol.IfRevision(3)), must(protocol.Load("a")),
		must(protocol.Check("a", protocol.IfAbsent())), del("a"), save("b", "3", protocol.IfAbsent()), save("a", "4"),
		must(protocol.Check("b", protocol.IfRevision(5))), must(protocol.Stat("none")),
	))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range r.Replies {
		got = append(got, fmt.Sprintf("%v %d %s %d", r.Found, r.Revision, r.State, r.Bytes))
	}
	want := []string{
		"true 1 0 1", "true 2  0", "true 2 1 1", "true 3  0", "true 3  2", "true 4  0", "false 0  0",
		"false 0  0", "false 0  0", "false 5  0", "false 6  0", "true 5  0", "false 0  0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
}

// TestApply_NeighboursCommit: in one batch, what fails fails alone.
func TestApply_NeighboursCommit(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	replies := mustApply(t, s, save("a", "1"), save("a", "2", protocol.IfAbsent()), save("b", "1"),
		txn(save("c", "1"), save("a", "3"), del("none", protocol.IfExists())), del("b"), must(protocol.Load("a")),
		must(protocol.Load("none")), save("d", "1"))
	var got []string
	for _, r := range replies {
		got = append(got, fmt.Sprintf("%d %s", r.Revision, protocol.CodeOf(r.Err)))
	}
	want := []string{"1 ", "0 CONFLICT", "2 ", "0 CONFLICT", "3 ", "1 ", "0 NOT_FOUND", "4 "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	page, err := read(t, s, must(protocol.List("", "", 0)))
	if err != nil || fmt.Sprint(idsOf(page.Entries)) != "[a d]" {
		t.Errorf("%v, %v", idsOf(page.Entries), err)
	}
	if info := s.Info(); info.Batches != 1 || info.Requests != 8 {
		t.Errorf("%+v", info)
	}
}

func TestApply_EmptyBatch(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	if replies, err := s.Apply(t.Context(), batchOf()); len(replies) != 0 || err != nil {
		t.Errorf("%v, %v", replies, err)
	}
	mustApply(t, s, save("a", "1"))
}

func TestApply_Time(t *testing.T) {
	path, o := tempDB(t), impatient()
	now := time.Date(2031, 2, 3, 4, 5, 6, 789_999_999, time.FixedZone("", 3600))
	o.Now = func() time.Time { return now }
	s := mustOpen(t, path, o)
	want := time.Date(2031, 2, 3, 3, 5, 6, 789_000_000, time.UTC)
	r, err := apply1(t, s, txn(save("a", "1"), must(protocol.Load("a"))))
	if err != nil || r.Replies[0].UpdatedAt != want || r.Replies[1].UpdatedAt != want {
		t.Errorf("replies: %+v, %v", r.Replies, err)
	}
	if r, err := load(t, s, "a"); err != nil || r.UpdatedAt != want {
		t.Errorf("load: %v, %v", r.UpdatedAt, err)
	}
	if got := mustQuery[string](t, mustOutsider(t, path), "SELECT CAST(updated_at AS TEXT) FROM agent_state"); got != "2031-02-03 03:05:06.789" {
		t.Errorf("in the file: %q", got)
	}
	now = now.AddDate(-20, 0, 0) // a clock that goes back changes nothing but the time shown
	if r, err := apply1(t, s, save("a", "2")); err != nil || r.Revision != 2 || r.UpdatedAt.Year() != 2011 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestApply_Bytes: what is saved comes back byte for byte, whatever is in it.
func TestApply_Bytes(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	large := `"` + strings.Repeat("x", protocol.MaxStateBytes-2) + `"`
	states := map[string]string{
		"plain": `{"a": 1}`, "space": " \t\r\n[1 , 2]\n", "numbers": "[1e400,-0,1.0,0.1e+1,123456789012345678901234567890]",
		"escapes": `"\u0000\ud83d\ude00\ud800 \/ \" é"`, "quotes": `"'; DROP TABLE agent_state; --"`, "twice": `{"a":1,"a":2}`,
		"question?": `"?1 ? $x :y @z"`, "null": "null", "emoji 😀": `"😀"`, `qu"o'te`: "1", "large": large,
		"deep": strings.Repeat("[", 1000) + strings.Repeat("]", 1000), strings.Repeat("é", 256): "1", "%_*[": "1", "\u2028 ": "1",
	}
	var ops, loads []protocol.Op
	var ids []string
	for id, state := range states {
		ids = append(ids, id)
		ops = append(ops, save(id, state))
		loads = append(loads, must(protocol.Load(id)))
	}
	mustApply(t, s, ops...)
	all, err := read(t, s, txn(loads...))
	if err != nil {
		t.Fatal(err)
	}
	outside := mustOutsider(t, path)
	for i, id := range ids {
		for what, r := range map[string]protocol.Reply{"txn": all.Replies[i], "load": must(load(t, s, id))} {
			if !bytes.Equal(r.State, []byte(states[id])) || r.Bytes != int64(len(states[id])) {
				t.Errorf("%s of %.40q: %.80q", what, id, r.State)
			}
		}
		if got := mustQuery[string](t, outside, pyLoad, id); got != states[id] {
			t.Errorf("python loads %.40q: %.80q", id, got)
		}
		if got := mustQuery[string](t, outside, "SELECT typeof(state_json) FROM agent_state WHERE agent_id = ?", id); got != "text" {
			t.Errorf("%.40q is stored as %s", id, got)
		}
	}
}

func TestApply_ReplyLimit(t *testing.T) {
	o := impatient()
	o.ReplyBytes = 10
	s := mustOpen(t, tempDB(t), o)
	mustApply(t, s, save("a", `"345678"`), save("b", "12"), save("c", "3"))
	loads := func(ids ...string) (ops []protocol.Op) {
		for _, id := range ids {
			ops = append(ops, must(protocol.Load(id)))
		}
		return ops
	}
	if _, err := read(t, s, txn(loads("a", "b")...)); err != nil {
		t.Errorf("10 bytes: %v", err)
	}
	_, err := read(t, s, txn(loads("a", "b", "c")...))
	wantCode(t, err, protocol.CodeInvalid)
	if large, _ := protocol.AsError(err).Fact(protocol.FactTooLarge); large != "1" {
		t.Errorf("%v", err)
	}
	_, err = apply1(t, s, txn(append([]protocol.Op{save("d", "1")}, loads("a", "b", "c")...)...))
	wantCode(t, err, protocol.CodeInvalid)
	_, err = load(t, s, "d")
	wantCode(t, err, protocol.CodeNotFound)
}
