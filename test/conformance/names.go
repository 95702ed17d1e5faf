package conformance

import (
	"slices"
	"strings"

	"github.com/stated/stated/protocol"
)

// oddIDs are hard to carry unchanged, in paths, in queries, in JSON, in commands.
var oddIDs = []string{
	"a", "A", "0", "-1", "null", "undefined", "/", "//", "a/b", "a//b", "/a", "a/", ".", "..", "...", "./a", "../a", "a/../b", "..%2Fa",
	"%", "%2F", "%2f", "%00", "%zz", "%25", "%E9", "?", "a?b=c", "#", "a#b", "+", "a+b", " ", "  ", " a", "a ", "a b", "&", "a=b&c=d", ";", ":", "@",
	",", "!", "$", "$(a)", "`", "'", `"`, `""`, `\`, `\\`, `\u0041`, `\n`, "*", "(", "[a]", "{id}", "{}", "|", "~", "^", "<a>", "-", "--", "--help", "_",
	"é", "e\u0301", "日本語", "😀", "\u0080", "\u00a0", "\u2028", "\u200b", "\ufeff", "\ufffd", "\U0010ffff", "ß", "İ",
	"http://a/b", "transactions", "agents", "count", "PREFIX", "AFTER", "LIMIT", "IFREV", "MULTI", "a.json", "a:b:c", "W/\"1\"",
	strings.Repeat("x", protocol.MaxIDBytes), strings.Repeat("é", protocol.MaxIDBytes/2), strings.Repeat("/", protocol.MaxIDBytes),
	strings.Repeat(`"`, protocol.MaxIDBytes), strings.Repeat("%", protocol.MaxIDBytes), strings.Repeat("😀", protocol.MaxIDBytes/4),
}

// ids are told apart and come back as they were, wherever an operation has one.
func ids(s *suite) {
	for _, id := range oddIDs {
		state := `{"id":"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(id) + `"}`
		saved := s.txn(saveIf(id, `1`, protocol.IfAbsent()), saveIf(id, `2`, protocol.IfExists()), checkOp(id, protocol.IfExists()), loadOp(id))
		if string(saved[3].State) != `2` {
			s.Errorf("%q: got %q in a transaction", id, saved[3].State)
		}
		revision := s.do(saveIf(id, state, protocol.IfRevision(saved[1].Revision))).Revision
		s.same(id, protocol.Reply{Found: true, Revision: revision, State: []byte(state), Bytes: int64(len(state))}, s.do(loadOp(id)))
		s.same(id, protocol.Reply{Found: true, Revision: revision, Bytes: int64(len(state))}, s.do(statOp(id)))
	}
	sorted := slices.Sorted(slices.Values(oddIDs))
	if diff := s.allIDs("", "", 0); !slices.Equal(sorted, diff) {
		s.Errorf("listed %q, want %q", diff, sorted)
	}
	for i, id := range sorted {
		want := slices.DeleteFunc(slices.Clone(sorted), func(other string) bool { return !strings.HasPrefix(other, id) })
		if got := s.allIDs(id, "", 7); !slices.Equal(want, got) {
			s.Errorf("the prefix %.20q: listed %q, want %q", id, got, want)
		}
		if n, err := s.Count(s.ctx, id); err != nil || n != int64(len(want)) {
			s.Errorf("the prefix %.20q: counted %d (%v), want %d", id, n, err, len(want))
		}
		if got := s.allIDs("", id, 0); !slices.Equal(sorted[i+1:], got) {
			s.Errorf("after %.20q: listed %q, want %q", id, got, sorted[i+1:])
		}
	}
	for _, id := range oddIDs {
		s.wantError(saveIf(id, `1`, protocol.IfAbsent()), protocol.CodeConflict, current(s.revisionOf(id)))
		if reply := s.do(deleteOp(id)); !reply.Found {
			s.Errorf("%q was not found", id)
		}
	}
	s.same("all are deleted", protocol.Reply{}, s.do(must(protocol.Count(""))))
}

// limits are checked before anything travels, each with its own words, and leave everything as it was.
func limits(s *suite) {
	offset := func(n string) protocol.Fact { return protocol.Fact{Key: protocol.FactOffset, Value: n} }
	for _, id := range []string{"", strings.Repeat("x", protocol.MaxIDBytes+1), "a\x00b", "a\nb", "\r", "\x1f", "\x7f", "a\xffb", "\xed\xa0\x80"} {
		_, err := s.Save(s.ctx, id, []byte(`1`))
		s.isError("save "+id, err, protocol.CodeInvalid)
		_, err = s.Load(s.ctx, id)
		s.isError("load "+id, err, protocol.CodeInvalid)
		_, err = s.Delete(s.ctx, id)
		s.isError("delete "+id, err, protocol.CodeInvalid)
		if id != "" {
			_, err = s.List(s.ctx, id, "", 0)
			s.isError("prefix "+id, err, protocol.CodeInvalid)
			_, err = s.List(s.ctx, "", id, 0)
			s.isError("after "+id, err, protocol.CodeInvalid)
			_, err = s.Count(s.ctx, id)
			s.isError("count "+id, err, protocol.CodeInvalid)
		}
	}
	for state, at := range map[string]string{
		"": "0", "{": "1", `{"a":}`: "5", "[1,]": "3", "1 2": "2", "NaN": "0", "'a'": "0", "\"\xff\"": "1", "\"\n\"": "1",
		strings.Repeat("[", protocol.MaxDepth+1) + strings.Repeat("]", protocol.MaxDepth+1): "1000",
	} {
		_, err := s.Save(s.ctx, "a", []byte(state))
		s.isError(state, err, protocol.CodeInvalid, offset(at))
	}
	for _, limit := range []int{-1, protocol.MaxListLimit + 1} {
		_, err := s.List(s.ctx, "", "", limit)
		s.isError("limit", err, protocol.CodeInvalid)
	}
	for _, revision := range []int64{0, -1} {
		_, err := s.SaveIf(s.ctx, "a", []byte(`1`), protocol.IfRevision(revision))
		s.isError("revision", err, protocol.CodeInvalid)
		_, err = s.DeleteIf(s.ctx, "a", protocol.IfRevision(revision))
		s.isError("revision", err, protocol.CodeInvalid)
	}
	_, err := s.DeleteIf(s.ctx, "a", protocol.IfAbsent())
	s.isError("delete if absent", err, protocol.CodeInvalid)
	_, err = s.Txn(s.ctx)
	s.isError("an empty transaction", err, protocol.CodeInvalid)
	_, err = s.Txn(s.ctx, saveOp("a", `1`), protocol.Clear())
	s.isError("clear in a transaction", err, protocol.CodeInvalid)
	many := make([]protocol.Op, protocol.MaxTxnOps+1)
	for i := range many {
		many[i] = saveOp("a", `1`)
	}
	_, err = s.Txn(s.ctx, many...)
	s.isError("1,025 operations", err, protocol.CodeInvalid)
	_, err = protocol.Do(s.ctx, s.Handler, must(protocol.Bulk(many...)))
	if s.fixture.Bulk < len(many) {
		s.isError("1,025 operations in bulk", err, protocol.CodeInvalid)
		s.same("nothing was saved", protocol.Reply{}, s.do(must(protocol.Count(""))))
	} else if err != nil {
		s.Errorf("1,025 operations in bulk: %v", err)
	}
	replies := s.txn(many[:protocol.MaxTxnOps]...)
	if first, last := replies[0].Revision, replies[len(replies)-1].Revision; last-first != protocol.MaxTxnOps-1 {
		s.Errorf("1,024 saves took revisions %d to %d", first, last)
	}
}
