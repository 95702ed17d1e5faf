//go:build system

package fault

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// belief is what one worker may expect of the file, by what it was told.
type belief struct {
	worker   int
	steps    []step
	worlds   []map[string]string // what its agents may hold; more than one after UNKNOWN
	acked    map[string]int64    // by state: the revision that its writer was told
	next     int                 // the step that was begun last, or begins next
	highest  int64
	codes    map[protocol.Code]int
	answered int
}

func newBelief(worker int, steps []step, initial map[string]string) *belief {
	world := map[string]string{}
	maps.Copy(world, initial)
	return &belief{
		worker: worker, steps: steps, worlds: []map[string]string{world}, acked: map[string]int64{}, codes: map[protocol.Code]int{},
	}
}

// hear takes in one line that a runner has said. Lines of others are passed over.
func (b *belief) hear(line string) error {
	words := strings.Fields(line)
	var worker, n int
	if len(words) < 4 || words[0] != "ack" && words[0] != "fail" {
		return nil
	}
	if _, err := fmt.Sscan(words[1]+" "+words[2], &worker, &n); err != nil || worker != b.worker {
		return err
	}
	s := b.steps[n]
	if words[0] == "ack" {
		b.next = n + 1
		return b.ack(s, words[3:])
	}
	code := protocol.Code(words[3])
	b.codes[code]++
	b.next = n
	if code == protocol.CodeUnknown {
		b.next = n + 1
		b.worlds = append(b.worlds, b.with(s)...)
	}
	return nil
}

// with gives the worlds in which the step was taken too.
func (b *belief) with(s step) []map[string]string {
	var list []map[string]string
	for _, w := range b.worlds {
		w = maps.Clone(w)
		s.apply(w)
		list = append(list, w)
	}
	return list
}

func (b *belief) ack(s step, words []string) error {
	b.answered++
	parts := s.parts
	if s.kind != txn {
		parts = []step{s}
	}
	for i, part := range parts {
		var revision int64
		if _, err := fmt.Sscan(words[i], &revision); err != nil {
			return err
		}
		if revision == 0 && part.kind == drop {
			continue // it was not there
		}
		if revision <= b.highest {
			return fmt.Errorf("revision %d was given out after %d", revision, b.highest)
		}
		b.highest = revision
		if part.kind == put {
			b.acked[part.state] = revision
		}
	}
	for _, w := range b.worlds {
		s.apply(w)
	}
	return nil
}

// crashed allows for the step that nobody has answered any more.
func (b *belief) crashed() {
	for _, s := range b.steps[b.next:] {
		if s.changes() {
			b.worlds = append(b.worlds, b.with(s)...)
			return
		}
	}
}

// row is an agent as the file holds it.
type row struct {
	state    string
	revision int64
}

// check compares what its agents hold with what may be expected.
func (b *belief) check(rows map[string]row) error {
	got := map[string]string{}
	for id, r := range rows {
		got[id] = r.state
		told, ok := b.acked[r.state]
		if ok && told != r.revision {
			return fmt.Errorf("%s has revision %d, its writer was told %d", id, r.revision, told)
		}
	}
	for _, w := range b.worlds {
		if maps.Equal(w, got) {
			return nil
		}
	}
	return fmt.Errorf("worker %d, after %d acknowledged changes: %s", b.worker, b.answered, b.difference(got))
}

func (b *belief) difference(got map[string]string) string {
	var lines []string
	want := b.worlds[0]
	for id, state := range want {
		if got[id] != state {
			lines = append(lines, fmt.Sprintf("%s is %.40q, acknowledged was %.40q", id, got[id], state))
		}
	}
	for id, state := range got {
		if _, ok := want[id]; !ok {
			lines = append(lines, fmt.Sprintf("%s is %.40q, acknowledged was its deletion", id, state))
		}
	}
	return strings.Join(lines, "; ")
}

// look opens a file as the next start of a program would, and gives what a worker's agents hold. Afterwards a change has
// to get a revision above all that were seen, and the file has to be sound.
func look(ctx context.Context, file string, beliefs ...*belief) error {
	return lookAt(ctx, file, store.DurabilityOff, beliefs)
}

func lookAt(ctx context.Context, file string, durability store.Durability, beliefs []*belief) error {
	s, err := store.Open(ctx, file, harness.Settings(store.Options{Durability: durability, Readers: 1}))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = compare(ctx, s, beliefs)
	if closing := s.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	report, err := store.Check(ctx, file, store.Options{Readers: 1}, true)
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("check --deep: %q", report.Problems)
	}
	return err
}

func compare(ctx context.Context, s *store.Store, beliefs []*belief) error {
	list, err := read(ctx, s)(protocol.List("", "", protocol.MaxListLimit))
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	highest, owners := int64(0), map[int64]string{}
	rows := make([]map[string]row, len(beliefs))
	for i, b := range beliefs {
		highest, rows[i] = max(highest, b.highest), map[string]row{}
	}
	for _, entry := range list.Entries {
		reply, err := read(ctx, s)(protocol.Load(entry.ID))
		if err != nil {
			return fmt.Errorf("load %s: %w", entry.ID, err)
		}
		highest = max(highest, reply.Revision)
		if was, ok := owners[reply.Revision]; ok && reply.Revision > 1 { // 1 is that of all adopted rows
			return fmt.Errorf("%s and %s both have revision %d", was, entry.ID, reply.Revision)
		}
		owners[reply.Revision] = entry.ID
		for i, b := range beliefs {
			if len(beliefs) == 1 || strings.HasPrefix(entry.ID, fmt.Sprintf("w%d-", b.worker)) {
				rows[i][entry.ID] = row{string(reply.State), reply.Revision}
			}
		}
	}
	for i, b := range beliefs {
		if err := b.check(rows[i]); err != nil {
			return err
		}
	}
	op, err := protocol.Save("after", []byte("1"), protocol.Condition{})
	if err != nil {
		return err
	}
	replies, err := s.Apply(ctx, batchOf{&op})
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if got := replies[0].Revision; got <= highest {
		return fmt.Errorf("a new change got revision %d, and %d was given out before", got, highest)
	}
	return nil
}

func read(ctx context.Context, s *store.Store) func(protocol.Op, error) (protocol.Reply, error) {
	return func(op protocol.Op, err error) (protocol.Reply, error) {
		if err != nil {
			return protocol.Reply{}, err
		}
		return s.Read(ctx, &op)
	}
}

// TestBelief: the judge of all the tests here notices what is wrong.
func TestBelief(t *testing.T) {
	s := &script{}
	s.add(s.put("a", 1, always), s.put("b", 1, always), step{kind: txn, parts: []step{s.put("a", 1, always), s.drop("b", always)}})
	state := func(n int) string { return s.steps[n].state }
	for name, test := range map[string]struct {
		heard []string
		crash bool
		rows  map[string]row
		ok    bool
	}{
		"as told":                   {[]string{"ack 0 0 1"}, false, map[string]row{"w0-a": {state(0), 1}}, true},
		"lost":                      {[]string{"ack 0 0 1"}, false, nil, false},
		"another revision":          {[]string{"ack 0 0 1"}, false, map[string]row{"w0-a": {state(0), 2}}, false},
		"not applied, but there":    {[]string{"fail 0 0 IO"}, false, map[string]row{"w0-a": {state(0), 1}}, false},
		"unknown, there":            {[]string{"fail 0 0 UNKNOWN"}, false, map[string]row{"w0-a": {state(0), 1}}, true},
		"unknown, absent":           {[]string{"fail 0 0 UNKNOWN"}, false, nil, true},
		"in flight":                 {[]string{"ack 0 0 1"}, true, map[string]row{"w0-a": {state(0), 1}, "w0-b": {state(1), 2}}, true},
		"never begun":               {[]string{"ack 0 0 1"}, false, map[string]row{"w0-a": {state(0), 1}, "w0-b": {state(1), 2}}, false},
		"half a transaction":        {[]string{"ack 0 0 1", "ack 0 1 2"}, true, map[string]row{"w0-a": {state(0), 1}}, false},
		"a whole transaction":       {[]string{"ack 0 0 1", "ack 0 1 2"}, true, map[string]row{"w0-a": {s.steps[2].parts[0].state, 3}}, true},
		"others are not this one's": {[]string{"ack 1 0 1"}, false, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBelief(0, s.steps, nil)
			for _, line := range test.heard {
				if err := b.hear(line); err != nil {
					t.Fatal(err)
				}
			}
			if test.crash {
				b.crashed()
			}
			if err := b.check(test.rows); err == nil != test.ok {
				t.Errorf("%v", err)
			}
		})
	}
	b := newBelief(0, s.steps, nil)
	if b.hear("ack 0 0 2") != nil || b.hear("ack 0 1 2") == nil {
		t.Error("a revision was given out twice, and nobody noticed")
	}
}
