package conformance

import (
	"strconv"

	"github.com/stated/stated/protocol"
)

// transactions perform their operations in order; each sees what those before it did, and each change takes a revision.
func transactions(s *suite) {
	s.save("old", `0`) // revision 1
	got := s.txn(
		loadOp("a"), statOp("a"), deleteOp("a"), checkOp("a", protocol.IfAbsent()),
		saveIf("a", `1`, protocol.IfAbsent()), checkOp("a", protocol.IfRevision(2)), loadOp("a"),
		saveIf("a", ` [2]`, protocol.IfRevision(2)), statOp("a"),
		deleteOp("a"), loadOp("a"), saveOp("a", `3`), must(protocol.Delete("old", protocol.IfRevision(1))), deleteOp("old"),
		loadOp("a"),
	)
	for _, i := range []int{3, 5} { // nobody says more of a check than that it held
		got[i].Found, got[i].Revision = false, 0
	}
	s.same("replies", []protocol.Reply{
		{}, {}, {}, {},
		{Revision: 2}, {}, {Found: true, Revision: 2, State: []byte(`1`), Bytes: 1},
		{Found: true, Revision: 3}, {Found: true, Revision: 3, Bytes: 4},
		{Found: true, Revision: 4}, {}, {Revision: 5}, {Found: true, Revision: 6}, {},
		{Found: true, Revision: 5, State: []byte(`3`), Bytes: 1},
	}, got)
	for _, i := range []int{4, 6, 7, 8, 11, 14} {
		s.isTime(strconv.Itoa(i), got[i].UpdatedAt)
	}
	s.same("afterwards", protocol.Reply{Found: true, Revision: 5, State: []byte(`3`), Bytes: 1}, s.do(loadOp("a")))
	s.wantError(loadOp("old"), protocol.CodeNotFound)
	s.same("one operation", []protocol.Reply{{Found: true, Revision: 7}}, s.txn(saveOp("a", `4`)))
}

// transactionFails says that one that fails, at its beginning, middle or end, leaves nothing behind, and no gap.
func transactionFails(s *suite) {
	s.save("a", `1`) // revision 1
	for _, c := range []struct {
		ops   []protocol.Op
		index string
		now   string
	}{
		{[]protocol.Op{saveIf("a", `2`, protocol.IfAbsent()), saveOp("b", `1`)}, "0", "1"},
		{[]protocol.Op{saveOp("a", `2`), saveOp("b", `1`), saveIf("a", `3`, protocol.IfRevision(1))}, "2", "2"},
		{[]protocol.Op{deleteOp("a"), saveIf("a", `2`, protocol.IfExists()), saveOp("b", `1`)}, "1", "0"},
		{[]protocol.Op{saveOp("b", `1`), must(protocol.Delete("c", protocol.IfExists()))}, "1", "0"},
		{[]protocol.Op{saveOp("b", `1`), deleteOp("a"), checkOp("b", protocol.IfAbsent()), checkOp("c", protocol.IfExists())}, "2", "2"},
		{[]protocol.Op{loadOp("a"), checkOp("a", protocol.IfRevision(9))}, "1", "1"},
	} {
		s.wantError(must(protocol.Txn(c.ops...)), protocol.CodeConflict, current(c.now), index(c.index))
		s.same("the agent", protocol.Reply{Found: true, Revision: 1, State: []byte(`1`), Bytes: 1}, s.do(loadOp("a")))
		s.same("all", protocol.Reply{Count: 1}, s.do(must(protocol.Count(""))))
	}
	s.same("the next revision", protocol.Reply{Revision: 2}, s.do(saveOp("b", `1`)))
}

// transactionReads says that one that only reads does so from one moment, and takes no revision.
func transactionReads(s *suite) {
	s.save("a", `1`)
	s.save("b", `2`)
	got := s.txn(loadOp("b"), loadOp("none"), statOp("a"), statOp("none"), checkOp("a", protocol.IfRevision(1)), checkOp("none", protocol.IfAbsent()), loadOp("b"))
	got[4].Found, got[4].Revision = false, 0
	s.same("replies", []protocol.Reply{
		{Found: true, Revision: 2, State: []byte(`2`), Bytes: 1}, {}, {Found: true, Revision: 1, Bytes: 1}, {}, {}, {},
		{Found: true, Revision: 2, State: []byte(`2`), Bytes: 1},
	}, got)
	s.same("the next revision", protocol.Reply{Revision: 3}, s.do(saveOp("c", `1`)))
}

// revisions only go up, and none is given out twice.
func revisions(s *suite) {
	last := int64(0)
	up := func(what string, revision int64) {
		s.Helper()
		if revision != last+1 {
			s.Errorf("%s took revision %d, after %d", what, revision, last)
		}
		last = revision
	}
	for range 3 {
		up("save", s.save("a", `1`))
		up("save", s.save("b", `1`))
		up("delete", s.do(deleteOp("a")).Revision)
		if r := s.do(deleteOp("a")).Revision; r != 0 {
			s.Errorf("a delete of nothing took revision %d", r)
		}
		s.wantError(saveIf("b", `2`, protocol.IfRevision(last+100)), protocol.CodeConflict, current(s.revisionOf("b")))
		s.wantError(must(protocol.Txn(saveOp("c", `1`), checkOp("b", protocol.IfAbsent()))), protocol.CodeConflict, current(s.revisionOf("b")), index("1"))
		up("create again", s.save("a", `2`))
		up("clear", s.do(protocol.Clear()).Revision)
		up("clear of nothing", s.do(protocol.Clear()).Revision)
		for _, r := range s.txn(saveOp("a", `1`), saveOp("a", `1`), deleteOp("a")) {
			up("transaction", r.Revision)
		}
	}
}

func (s *suite) revisionOf(id string) string {
	s.Helper()
	return strconv.FormatInt(s.do(statOp(id)).Revision, 10)
}
