package store_test

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// ids whose order and borders are easy to get wrong.
var trickyIDs = []string{
	"!", "%", "a", "a ", "a!", "aa", "ab", "a~", "b", "A", "Z", "é", "éa", "é~", "\u00bf", "\u00bfx", "\u00ff", "\u00ffx",
	"\u07ff", "\u07ffz", "\u0800", "\uffff", "\uffffx", "\U0010ffff", "\U0010ffffx", "\U0010ffff\U0010ffff", "😀", "😀x", "~", "~~",
}

func TestList(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	var ops []protocol.Op
	for i, id := range trickyIDs {
		ops = append(ops, save(id, strings.Repeat("1", i+1)))
	}
	mustApply(t, s, ops...)
	prefixes := append([]string{"", "none", "\u00c0"}, trickyIDs...)
	for _, prefix := range prefixes {
		var all []string
		for _, id := range trickyIDs {
			if strings.HasPrefix(id, prefix) {
				all = append(all, id)
			}
		}
		sort.Strings(all)
		if n, err := read(t, s, must(protocol.Count(prefix))); err != nil || n.Count != int64(len(all)) {
			t.Errorf("count %q: %d, %v; want %d", prefix, n.Count, err, len(all))
		}
		for _, limit := range []int{1, 2, 3, len(all), len(all) + 1} {
			if limit == 0 {
				continue
			}
			if diff := cmp.Diff(all, walk(t, s, prefix, limit)); diff != "" {
				t.Errorf("list %q by %d (-want +got):\n%s", prefix, limit, diff)
			}
		}
		for _, after := range prefixes {
			i := sort.Search(len(all), func(i int) bool { return all[i] > after })
			page, err := read(t, s, must(protocol.List(prefix, after, 1000)))
			if diff := cmp.Diff(append([]string(nil), all[i:]...), idsOf(page.Entries)); diff != "" || err != nil {
				t.Errorf("list %q after %q: %v (-want +got):\n%s", prefix, after, err, diff)
			}
		}
	}
}

// walk lists page by page, and holds what every page promises.
func walk(t *testing.T, s *store.Store, prefix string, limit int) (ids []string) {
	t.Helper()
	for after := ""; ; {
		page, err := read(t, s, must(protocol.List(prefix, after, limit)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			if e.Revision < 1 || e.Bytes < 1 || e.UpdatedAt.IsZero() {
				t.Errorf("entry %+v", e)
			}
		}
		ids = append(ids, idsOf(page.Entries)...)
		if page.Next == "" {
			return ids
		}
		if len(page.Entries) != limit || page.Next != page.Entries[limit-1].ID {
			t.Fatalf("a page of %d with next %q: %v", limit, page.Next, page.Entries)
		}
		after = page.Next
	}
}

func TestScan(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	if r, err := read(t, s, must(protocol.Scan(0, 10))); err != nil || len(r.Entries) != 0 || r.Count != 0 {
		t.Errorf("of nothing: %+v, %v", r, err)
	}
	want := map[string]bool{}
	for i := range 10 {
		id := fmt.Sprint("agent", i)
		want[id] = true
		mustApply(t, s, save(id, "1"))
	}
	for _, limit := range []int{1, 3, 5, 10, 11} {
		got := map[string]bool{}
		for cursor, pages := int64(0), 0; ; pages++ {
			r, err := read(t, s, must(protocol.Scan(cursor, limit)))
			if err != nil || len(r.Entries) > limit || pages > 20 {
				t.Fatalf("by %d, page %d: %+v, %v", limit, pages, r, err)
			}
			for _, e := range r.Entries {
				got[e.ID] = true
			}
			// What happens meanwhile hides no agent that was there all the time.
			mustApply(t, s, save(fmt.Sprint("agent", pages%10), "2"), save("passing", "1"), del("passing"))
			if cursor = r.Count; cursor == 0 {
				break
			}
		}
		delete(got, "passing")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2024, 5, 6, 7, 8, 9, 123_000_000, time.UTC)
	for text, want := range map[string]time.Time{
		"2024-05-06 07:08:09.123":          want,
		"2024-05-06 07:08:09.123456":       want,
		"2024-05-06 07:08:09":              want.Truncate(time.Second),
		"2024-05-06T07:08:09.123":          want,
		"2024-05-06T07:08:09.123Z":         want,
		"2024-05-06T09:08:09.123+02:00":    want,
		"2024-05-06 09:08:09.123+02:00":    want,
		"2024-05-06 07:08:09.123Z":         want,
		"2024-05-06 07:08:09.123456+00:00": want,
		"0001-01-01 00:00:00":              {},
		"2024-05-06":                       {},
		"1714979289":                       {},
		"2024-13-06 07:08:09":              {},
		"now":                              {},
		"":                                 {},
	} {
		if got := store.ParseTime(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if got := store.ParseTime(""); !got.IsZero() {
		t.Errorf("nothing: %v", got)
	}
	// And through the file, where an outsider may write anything.
	s := share(t)
	for _, test := range []struct {
		value    any
		readable bool
	}{
		{"2024-05-06 07:08:09", true}, {[]byte("2024-05-06 07:08:09"), true},
		{int64(1714979289), false}, {2460436.797, false}, {nil, false}, {"soon", false},
	} {
		s.exec("UPDATE agent_state SET updated_at = ? WHERE agent_id = 'a'", test.value)
		r, err := load(t, s.s, "a")
		if err != nil || r.UpdatedAt.IsZero() == test.readable {
			t.Errorf("%v: %v, %v", test.value, r.UpdatedAt, err)
		}
		if _, err := read(t, s.s, must(protocol.List("", "", 0))); err != nil {
			t.Error(err)
		}
	}
}

func TestRead_EndsWithItsContext(t *testing.T) {
	path := pythonFile(t, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
		INSERT INTO agent_state (agent_id, state_json) SELECT 'agent' || i, i FROM n`)
	s := mustOpen(t, path, impatient())
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for range 20 {
		op := must(protocol.List("", "", 10000))
		if _, err := s.Read(ctx, &op); err == nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read past its deadline: %v", err)
		}
	}
	for range 20 { // at any moment of the read
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		op := must(protocol.List("", "", 10000))
		if r, err := s.Read(ctx, &op); err == nil && len(r.Entries) != 10000 || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%d entries, %v", len(r.Entries), err)
		}
	}
	if _, err := load(t, s, "agent1"); err != nil {
		t.Error(err)
	}
}

func TestRead_AfterClose(t *testing.T) {
	s, err := store.Open(t.Context(), tempDB(t), impatient())
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	_, err = load(t, s, "a")
	wantCode(t, err, protocol.CodeUnavailable)
}
