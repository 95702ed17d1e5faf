package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stated/stated/protocol"
)

// allIDs reads a list page by page.
func (s *suite) allIDs(prefix, after string, limit int) (ids []string) {
	s.Helper()
	for {
		page := s.do(must(protocol.List(prefix, after, limit)))
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if page.Next == "" {
			return ids
		}
		if n := len(page.Entries); n == 0 || page.Next != page.Entries[n-1].ID || limit > 0 && n != limit {
			s.Fatalf("a page of %d entries, with limit %d, has next = %q", n, limit, page.Next)
		}
		after = page.Next
	}
}

func lists(s *suite) {
	names := []string{"a", "a/1", "a/2", "a/3", "b", "b\u00e9", "c"}
	for i, id := range names {
		s.save(id, strings.Repeat(" ", i)+"1")
	}
	page := s.do(must(protocol.List("", "", 0)))
	for i, e := range page.Entries {
		s.same("entry", protocol.Entry{ID: names[i], Revision: int64(i + 1), Bytes: int64(i + 1)}, e)
		s.isTime("entry", e.UpdatedAt)
	}
	if len(page.Entries) != len(names) || page.Next != "" {
		s.Errorf("listed %d entries, next %q", len(page.Entries), page.Next)
	}
	for _, c := range []struct {
		prefix, after string
		want          string
	}{
		{"", "", "a a/1 a/2 a/3 b bé c"},
		{"a", "", "a a/1 a/2 a/3"},
		{"a/", "", "a/1 a/2 a/3"},
		{"a/2", "", "a/2"},
		{"b\u00e9", "", "bé"},
		{"none", "", ""},
		{"", "a", "a/1 a/2 a/3 b bé c"},
		{"", "a/2", "a/3 b bé c"},
		{"", "a/25", "a/3 b bé c"}, // which is not there
		{"", "c", ""},
		{"", "zzz", ""},
		{"a/", "a/1", "a/2 a/3"},
		{"a/", "A", "a/1 a/2 a/3"}, // in front of the prefix
		{"a/", "b", ""},            // behind it
	} {
		for _, limit := range []int{0, 1, 2, 3, 4, 6, 7, 8, protocol.MaxListLimit} {
			if got := strings.Join(s.allIDs(c.prefix, c.after, limit), " "); got != c.want {
				s.Errorf("prefix %q, after %q, limit %d: got %q, want %q", c.prefix, c.after, limit, got, c.want)
			}
		}
		n, err := s.Count(s.ctx, c.prefix)
		if want := int64(len(s.allIDs(c.prefix, "", 0))); n != want || err != nil {
			s.Errorf("prefix %q: counted %d (%v), want %d", c.prefix, n, err, want)
		}
	}
}

// listEnds says that there is a next page exactly if it has something.
func listEnds(s *suite) {
	ops := make([]protocol.Op, 0, protocol.DefaultListLimit+1)
	for i := range protocol.DefaultListLimit + 1 {
		ops = append(ops, saveOp(fmt.Sprintf("agent-%03d", i), `1`))
	}
	s.txn(ops[:protocol.DefaultListLimit]...)
	for limit, next := range map[int]string{
		0: "", protocol.DefaultListLimit: "", protocol.DefaultListLimit + 1: "", protocol.DefaultListLimit - 1: "agent-098", 50: "agent-049",
	} {
		if page := s.do(must(protocol.List("", "", limit))); page.Next != next {
			s.Errorf("limit %d of %d agents: next is %q, want %q", limit, protocol.DefaultListLimit, page.Next, next)
		}
	}
	s.txn(ops[protocol.DefaultListLimit])
	for limit, next := range map[int]string{0: "agent-099", protocol.DefaultListLimit + 1: ""} {
		if page := s.do(must(protocol.List("", "", limit))); page.Next != next {
			s.Errorf("limit %d of %d agents: next is %q, want %q", limit, protocol.DefaultListLimit+1, page.Next, next)
		}
	}
}

// listWhileChanging reads a list of which agents come and go between the pages: those that are always there are seen
// exactly once.
func listWhileChanging(s *suite) {
	const stays = 60
	var ops []protocol.Op
	var want []string
	for i := range stays {
		want = append(want, fmt.Sprintf("stay-%03d", i))
		ops = append(ops, saveOp(want[i], `1`), saveOp(fmt.Sprintf("stay-%03d-goes", i), `1`))
	}
	s.txn(ops...)
	var got []string
	after, last := "", ""
	for page := range 2*stays + 3 {
		reply := s.do(must(protocol.List("", after, 7)))
		for _, e := range reply.Entries {
			if e.ID <= last {
				s.Fatalf("%q comes behind %q", e.ID, last)
			}
			if last = e.ID; slices.Contains(want, e.ID) {
				got = append(got, e.ID)
			}
		}
		if after = reply.Next; after == "" {
			break
		}
		// Here, in front of it and behind it; the last one of the page is deleted too, if it may go.
		changes := []protocol.Op{saveOp(fmt.Sprintf("aaa-%03d", page), `1`), saveOp(after+"-new", `1`), saveOp(fmt.Sprintf("stay-%03d-new", stays-page), `1`)}
		if strings.HasSuffix(after, "-goes") || strings.HasSuffix(after, "-new") {
			changes = append(changes, deleteOp(after))
		}
		s.txn(changes...)
	}
	if !slices.Equal(want, got) {
		s.Errorf("listed %q", got)
	}
}

func countAndClear(s *suite) {
	s.txn(saveOp("a", `1`), saveOp("ab", `1`), saveOp("b", `1`))
	for prefix, want := range map[string]int64{"": 3, "a": 2, "ab": 1, "abc": 0, "A": 0, "\U0010ffff": 0} {
		if n, err := s.Count(s.ctx, prefix); n != want || err != nil {
			s.Errorf("prefix %q: counted %d (%v), want %d", prefix, n, err, want)
		}
	}
	s.same("clear", protocol.Reply{Count: 3, Revision: 4}, s.do(protocol.Clear()))
	for _, id := range []string{"a", "ab", "b"} {
		s.wantError(loadOp(id), protocol.CodeNotFound)
	}
	s.wantError(saveIf("a", `1`, protocol.IfRevision(1)), protocol.CodeConflict, current("0"))
	s.same("count", protocol.Reply{}, s.do(must(protocol.Count(""))))
	s.same("create again", protocol.Reply{Revision: 5}, s.do(saveIf("a", `1`, protocol.IfAbsent())))
}
