package linear

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stated/stated/protocol"
)

// told is one operation of a history made by hand.
type told struct {
	call, end int64
	op        protocol.Op
	result    result
}

func save(i int, state string, cond protocol.Condition) protocol.Op {
	return must(protocol.Save(agentID(i), []byte(state), cond))
}

func load(i int) protocol.Op { return must(protocol.Load(agentID(i))) }

func saved(revision int64, found bool) result {
	return result{reply: protocol.Reply{Revision: revision, Found: found}}
}

func loaded(revision int64, state string) result {
	return result{reply: protocol.Reply{Revision: revision, Found: true, State: []byte(state)}}
}

func notFound() result { return result{err: protocol.NotFound("it")} }

func conflict(op protocol.Op, current int64) result {
	return result{err: protocol.Conflict(&op, current)}
}

func lost() result { return result{err: protocol.CodeUnknown, unknown: true} }

func both(a, b result) result {
	return result{reply: protocol.Reply{Replies: []protocol.Reply{a.reply, b.reply}}}
}

var (
	first   = told{0, 1, save(0, `"a"`, protocol.Condition{}), saved(1, false)}
	second  = told{2, 3, save(0, `"b"`, protocol.Condition{}), saved(2, true)}
	always  = protocol.Condition{}
	two     = must(protocol.Txn(save(0, `"x"`, always), save(1, `"y"`, always)))
	twoRead = must(protocol.Txn(load(0), load(1)))
)

// TestChecker gives the checker histories whose verdict is known.
func TestChecker(t *testing.T) {
	cases := []struct {
		name string
		good bool
		all  []told
	}{
		{"one after the other", true, []told{first, second, {4, 5, load(0), loaded(2, `"b"`)}}},
		{"a stale read", false, []told{first, second, {4, 5, load(0), loaded(1, `"a"`)}}},
		{"an old read that began before the change ended", true, []told{first, second, {2, 5, load(0), loaded(1, `"a"`)}}},
		{"a read of what nobody saved", false, []told{first, {2, 3, load(0), loaded(1, `"b"`)}}},
		{"a read with another revision", false, []told{first, {2, 3, load(0), loaded(2, `"a"`)}}},
		{"an acknowledged save is gone", false, []told{first, {2, 3, load(0), notFound()}}},
		{"a lost update: two win with one revision", false, []told{
			first,
			{2, 4, save(0, `"b"`, protocol.IfRevision(1)), saved(2, true)},
			{2, 4, save(0, `"c"`, protocol.IfRevision(1)), saved(3, true)},
		}},
		{"one of two wins", true, []told{
			first,
			{2, 4, save(0, `"b"`, protocol.IfRevision(1)), saved(2, true)},
			{2, 4, save(0, `"c"`, protocol.IfRevision(1)), conflict(save(0, `"c"`, protocol.IfRevision(1)), 2)},
		}},
		{"a conflict with a wrong revision", false, []told{
			first, second, {4, 5, save(0, `"c"`, protocol.IfRevision(1)), conflict(save(0, `"c"`, protocol.IfRevision(1)), 1)},
		}},
		{"a conflict though the condition holds", false, []told{
			first, {2, 3, save(0, `"c"`, protocol.IfRevision(1)), conflict(save(0, `"c"`, protocol.IfRevision(1)), 1)},
		}},
		{"a revision used twice, for two agents", false, []told{first, {2, 3, save(1, `"b"`, always), saved(1, false)}}},
		{"a revision used again after a delete", false, []told{
			first, second, {4, 5, must(protocol.Delete(agentID(0), always)), saved(3, true)},
			{6, 7, save(0, `"c"`, always), saved(3, false)},
		}},
		{"revisions against the order of time", false, []told{
			{0, 1, save(0, `"a"`, always), saved(5, false)}, {2, 3, save(1, `"b"`, always), saved(4, false)},
		}},
		{"revisions with a gap: others have changed something", true, []told{first, {2, 3, save(1, `"b"`, always), saved(9, false)}}},
		{"a delete of nothing that found something", false, []told{{0, 1, must(protocol.Delete(agentID(0), always)), saved(1, true)}}},
	}
	for _, c := range append(cases, transactions()...) {
		t.Run(c.name, func(t *testing.T) { expect(t, c.good, c.all) })
	}
}

// transactions are cases with transactions, and with lost replies.
func transactions() []struct {
	name string
	good bool
	all  []told
} {
	changed := told{0, 2, two, both(saved(1, false), saved(2, false))}
	gone := told{0, 2, two, lost()}
	check := must(protocol.Txn(save(1, `"y"`, always), save(0, `"z"`, protocol.IfRevision(7))))
	at := func(revision int64, index string) result {
		return result{err: protocol.Conflict(&check.Ops()[1], revision).With(protocol.FactIndex, index)}
	}
	return []struct {
		name string
		good bool
		all  []told
	}{
		{"a whole transaction", true, []told{changed, {3, 4, twoRead, both(loaded(1, `"x"`), loaded(2, `"y"`))}}},
		{"half a transaction is read", false, []told{changed, {1, 4, twoRead, both(loaded(1, `"x"`), result{})}}},
		{"half a transaction is there", false, []told{changed, {3, 4, load(0), loaded(1, `"x"`)}, {5, 6, load(1), notFound()}}},
		{"half of a refused transaction is there", false, []told{
			first, {2, 3, check, at(1, "1")}, {4, 5, load(1), loaded(2, `"y"`)},
		}},
		{"a refused transaction", true, []told{first, {2, 3, check, at(1, "1")}, {4, 5, load(1), notFound()}}},
		{"a refused transaction that names the wrong operation", false, []told{first, {2, 3, check, at(1, "0")}}},
		{"a lost transaction was applied", true, []told{gone, {3, 4, twoRead, both(loaded(1, `"x"`), loaded(2, `"y"`))}}},
		{"a lost transaction was not applied", true, []told{gone, {3, 4, twoRead, both(result{}, result{})}}},
		{"half of a lost transaction was applied", false, []told{gone, {3, 4, twoRead, both(loaded(1, `"x"`), result{})}}},
		{"a lost transaction comes after its end", false, []told{
			gone, {3, 4, load(0), notFound()}, {5, 6, load(0), loaded(1, `"x"`)},
		}},
		{"a lost save's revision is given out again", false, []told{
			{0, 2, save(0, `"a"`, always), lost()}, {3, 4, load(0), loaded(1, `"a"`)}, {5, 6, save(1, `"b"`, always), saved(1, false)},
		}},
		{"a lost save's revision, out of order", false, []told{
			{0, 2, save(0, `"a"`, always), lost()}, {3, 4, load(0), loaded(3, `"a"`)}, {5, 6, save(1, `"b"`, always), saved(2, false)},
		}},
		{"a lost conditional save is learnt of by a conflict", true, []told{
			first, {2, 3, save(0, `"b"`, protocol.IfRevision(1)), lost()},
			{4, 5, save(0, `"c"`, protocol.IfRevision(1)), conflict(save(0, `"c"`, protocol.IfRevision(1)), 2)},
			{6, 7, save(0, `"d"`, protocol.IfRevision(2)), saved(3, true)},
		}},
	}
}

func expect(t *testing.T, good bool, all []told) {
	t.Helper()
	h := newHistory()
	for i, o := range all {
		h.ops = append(h.ops, porcupine.Operation{ClientId: i, Input: &o.op, Call: o.call, Output: o.result, Return: o.end})
	}
	begun := time.Now()
	checked, info := h.check(patient)
	if (checked == porcupine.Ok) != good {
		t.Errorf("the checker says %s after %v:\n%s", checked, time.Since(begun), h.lines(h.ops))
	}
	if checked != porcupine.Illegal {
		return
	}
	// What a reader of a failed test is given.
	text := h.lines(h.unexplained(info))
	last := &all[len(all)-1]
	if !strings.Contains(h.lines(h.ops), describe(&last.op)) || text == "" {
		t.Errorf("the history and its unexplained operations are\n%s\n%s", h.lines(h.ops), text)
	}
}

// TestChecker_GivesUp shows that a history that is too hard to check is a failure, and is called what it is.
func TestChecker_GivesUp(t *testing.T) {
	h := newHistory()
	for i := range 40 {
		op := save(i%agents, fmt.Sprintf(`"%d"`, i), always)
		h.ops = append(h.ops, porcupine.Operation{ClientId: i, Input: &op, Call: 0, Output: lost(), Return: 9})
	}
	never := load(0)
	h.ops = append(h.ops, porcupine.Operation{ClientId: 40, Input: &never, Call: 10, Output: loaded(1, `"nobody's"`), Return: 11})
	if err := h.verify(10 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within 10ms") {
		t.Errorf("the checker says %.200v", err)
	}
}
