package conformance

import (
	"strings"

	"github.com/stated/stated/protocol"
)

// operations goes through all of them, and looks at each field of their replies.
func operations(s *suite) {
	none := protocol.Condition{}
	s.wantError(loadOp("a"), protocol.CodeNotFound)
	s.wantError(statOp("a"), protocol.CodeNotFound)
	s.same("delete of nothing", protocol.Reply{}, s.do(deleteOp("a")))
	s.same("count of nothing", protocol.Reply{}, s.do(must(protocol.Count(""))))
	s.same("list of nothing", protocol.Reply{}, s.do(must(protocol.List("", "", 0))))

	created := s.do(saveOp("a", `{"n": 1}`))
	s.same("create", protocol.Reply{Revision: 1}, created)
	loaded := s.do(loadOp("a"))
	s.same("load", protocol.Reply{Found: true, Revision: 1, State: []byte(`{"n": 1}`), Bytes: 8}, loaded)
	stat := s.do(statOp("a"))
	s.same("stat", protocol.Reply{Found: true, Revision: 1, Bytes: 8}, stat)
	listed := s.do(must(protocol.List("", "", 0)))
	s.same("list", protocol.Reply{Entries: []protocol.Entry{{ID: "a", Revision: 1, Bytes: 8}}}, listed)
	inTxn := s.txn(loadOp("a"), statOp("a"))
	s.isTime("save", created.UpdatedAt)
	for what, at := range map[string]protocol.Reply{"load": loaded, "stat": stat, "load in a transaction": inTxn[0], "stat in a transaction": inTxn[1]} {
		if s.isTime(what, at.UpdatedAt); !at.UpdatedAt.Equal(created.UpdatedAt) {
			s.Errorf("%s: updated_at is %v, the save said %v", what, at.UpdatedAt, created.UpdatedAt)
		}
	}
	if s.isTime("list", listed.Entries[0].UpdatedAt); !listed.Entries[0].UpdatedAt.Equal(created.UpdatedAt) {
		s.Errorf("list: updated_at is %v, the save said %v", listed.Entries[0].UpdatedAt, created.UpdatedAt)
	}

	replaced := s.do(saveOp("a", `2`))
	s.same("replace", protocol.Reply{Found: true, Revision: 2}, replaced)
	if s.isTime("replace", replaced.UpdatedAt); replaced.UpdatedAt.Before(created.UpdatedAt) {
		s.Errorf("time went back from %v to %v", created.UpdatedAt, replaced.UpdatedAt)
	}
	s.same("the same bytes again", protocol.Reply{Found: true, Revision: 3}, s.do(saveOp("a", `2`)))
	s.same("count", protocol.Reply{Count: 1}, s.do(must(protocol.Count("a"))))
	s.same("delete", protocol.Reply{Found: true, Revision: 4}, s.do(must(protocol.Delete("a", none))))
	s.wantError(loadOp("a"), protocol.CodeNotFound)
	s.same("clear of nothing", protocol.Reply{Revision: 5}, s.do(protocol.Clear()))
	s.same("create again", protocol.Reply{Revision: 6}, s.do(saveOp("a", `3`)))
	s.same("clear", protocol.Reply{Count: 1, Revision: 7}, s.do(protocol.Clear()))

	scan, err := protocol.Do(s.ctx, s.Handler, must(protocol.Scan(0, 10)))
	if s.fixture.Scans != (err == nil) || !s.fixture.Scans && protocol.CodeOf(err) != protocol.CodeInvalid {
		s.Errorf("scan: %+v, %v", scan, err)
	}
}

// conditions tries each condition of each operation on an agent that is there and on one that is not.
func conditions(s *suite) {
	revision := s.save("there", `1`) // 1
	for _, c := range []struct {
		cond         protocol.Condition
		there, gone  bool
		cannotDelete bool
	}{
		{cond: protocol.IfAbsent(), gone: true, cannotDelete: true},
		{cond: protocol.IfExists(), there: true},
		{cond: protocol.IfRevision(revision), there: true},
		{cond: protocol.IfRevision(revision + 1_000)},
		{cond: protocol.IfRevision(1<<63 - 1)},
	} {
		for _, id := range []string{"there", "gone"} {
			holds, now := c.there, current("1")
			if id == "gone" {
				holds, now = c.gone, current("0")
			}
			s.wantInTxn(checkOp(id, c.cond), holds, now)
			s.wantInTxn(saveIf(id, `2`, c.cond), holds, now)
			if !holds {
				s.wantError(saveIf(id, `2`, c.cond), protocol.CodeConflict, now)
			}
			if c.cannotDelete {
				continue
			}
			remove := must(protocol.Delete(id, c.cond))
			s.wantInTxn(remove, holds, now)
			if !holds {
				s.wantError(remove, protocol.CodeConflict, now)
			}
		}
	}
	// Those that hold, on their own.
	reply := s.do(saveIf("gone", `1`, protocol.IfAbsent()))
	s.same("save if absent", protocol.Reply{Revision: 2}, reply)
	s.same("save if revision", protocol.Reply{Found: true, Revision: 3}, s.do(saveIf("gone", `2`, protocol.IfRevision(reply.Revision))))
	s.same("save if exists", protocol.Reply{Found: true, Revision: 4}, s.do(saveIf("gone", `3`, protocol.IfExists())))
	s.wantError(saveIf("gone", `4`, protocol.IfRevision(3)), protocol.CodeConflict, current("4"))
	s.same("delete if revision", protocol.Reply{Found: true, Revision: 5}, s.do(must(protocol.Delete("gone", protocol.IfRevision(4)))))
	s.same("delete if exists", protocol.Reply{Found: true, Revision: 6}, s.do(must(protocol.Delete("there", protocol.IfExists()))))
}

// wantInTxn says whether the condition of an operation holds, in a transaction that changes nothing in either case: its
// last operation cannot hold.
func (s *suite) wantInTxn(op protocol.Op, holds bool, now protocol.Fact) {
	s.Helper()
	last := checkOp("never", protocol.IfExists())
	if holds {
		s.wantError(must(protocol.Txn(op, last)), protocol.CodeConflict, current("0"), index("1"))
		return
	}
	s.wantError(must(protocol.Txn(op, last)), protocol.CodeConflict, now, index("0"))
}

// skips is for operations whose failed condition skips them alone.
func skips(s *suite) {
	s.save("a", `1`)
	lone, inTxn := saveIf("a", `2`, protocol.IfAbsent()).OrSkip(), must(protocol.Txn(saveOp("b", `1`), saveIf("a", `2`, protocol.IfAbsent()).OrSkip()))
	if !s.fixture.Skips {
		s.wantError(lone, protocol.CodeInvalid)
		s.wantError(inTxn, protocol.CodeInvalid)
		s.same("nothing was done", protocol.Reply{Count: 1}, s.do(must(protocol.Count(""))))
		return
	}
	s.same("alone", protocol.Reply{Skipped: true, Found: true, Revision: 1}, s.do(lone))
	replies := s.do(inTxn).Replies
	if !replies[1].Skipped || replies[0].Skipped || replies[0].Revision != 2 {
		s.Errorf("in a transaction: %+v", replies)
	}
	s.same("not skipped", protocol.Reply{Found: true, Revision: 3}, s.do(saveIf("a", `2`, protocol.IfExists()).OrSkip()))
}

// oddStates are hard to carry unchanged.
var oddStates = []string{
	`null`, `true`, `0`, `-0`, `0.10`, `1e400`, `-1E-400`, `123456789012345678901234567890.12345678901234567890`, `""`, `[]`, `{}`,
	" {\t\"a\" : [ 1 ,\r\n2 ] } ", "\n1", "1\n", "\r\n\t null\t\r\n ", ` "" `,
	`{"a":1,"a":2,"A":3}`, `{"z":1,"a":{"z":1,"a":2}}`, `{"":""}`,
	`"\u0041\u00e9\ud83d\ude00\/\b\f\n\r\t\\\""`, `"\ud800"`, `"\udc00\ud800"`, `"\u0000"`, `"\u2028\uFFFD"`,
	"\"\u2028\u2029\u0085\ufeff\ufffd\U0010ffff\"", `"<script>&amp;</script>"`, "\"\x7f\"",
	`"state"`, `{"state":1,"}":",","]":"["}`, `"},{\"op\":\"delete\""`, `"$-1\r\n+OK\r\n"`,
}

// states are returned byte for byte, alone and in a transaction.
func states(s *suite) {
	deep := strings.Repeat("[", protocol.MaxDepth) + strings.Repeat("]", protocol.MaxDepth)
	for _, state := range append(oddStates, deep, `"`+strings.Repeat("é", 40_000)+`"`) {
		s.save("a", state)
		replies := s.txn(saveOp("b", state), loadOp("a"), loadOp("b"), statOp("b"))
		alone := []protocol.Reply{s.do(loadOp("a")), s.do(loadOp("b"))}
		for i, r := range append(alone, replies[1:3]...) {
			if string(r.State) != state || r.Bytes != int64(len(state)) {
				s.Errorf("%d: saved %.80q, loaded %.80q (%d bytes)", i, state, r.State, r.Bytes)
			}
		}
		if n := s.do(statOp("a")).Bytes; n != int64(len(state)) || replies[3].Bytes != n {
			s.Errorf("%.80q has %d bytes, in a transaction %d", state, n, replies[3].Bytes)
		}
	}
}

// largeStates are those of the largest size, and of one byte more.
func largeStates(s *suite) {
	state := `"` + strings.Repeat("x", StateBytes-2) + `"`
	large := protocol.Fact{Key: protocol.FactTooLarge, Value: "1"}
	s.save("a", state)
	reply := s.do(loadOp("a"))
	if string(reply.State) != state || reply.Bytes != StateBytes {
		s.Errorf("loaded %d bytes", len(reply.State))
	}
	revision := reply.Revision
	s.wantError(saveOp("a", state+" "), protocol.CodeInvalid, large)
	s.wantError(must(protocol.Txn(saveOp("b", `1`), saveOp("a", state+" "))), protocol.CodeInvalid, large)
	// More than one reply may hold: nothing of it happens.
	five := []protocol.Op{saveOp("b", `1`), loadOp("a"), loadOp("a"), loadOp("a"), loadOp("a"), loadOp("a")}
	_, err := s.Txn(s.ctx, five...)
	if e := protocol.AsError(err); protocol.CodeOf(err) != protocol.CodeInvalid {
		s.Errorf("a reply that is too large: %v", err)
	} else if _, ok := e.Fact(protocol.FactTooLarge); !ok {
		s.Errorf("a reply that is too large lacks the fact: %v", err)
	}
	s.wantError(loadOp("b"), protocol.CodeNotFound)
	if got := s.do(statOp("a")).Revision; got != revision {
		s.Errorf("the revision is %d, want %d", got, revision)
	}
	if got := s.txn(loadOp("a"))[0].State; string(got) != state {
		s.Errorf("in a transaction: loaded %d bytes", len(got))
	}
}
