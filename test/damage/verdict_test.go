package damage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// verdict is what came of a damaged file.
type verdict struct {
	errors  []error  // that were given; each names the damage
	wrong   []string // served with OK, and not what was acknowledged
	hidden  []string // agents said not to be there
	entries []string // entries of lists with another revision or size
	served  int      // of those errors, what loads, lists and changes were given
	found   struct{ check, deep, open, backup bool }
}

func (v *verdict) wrongf(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// refused notes an error. Whatever a file holds, it is the file's fault, and nothing of it a defect.
func (v *verdict) refused(what string, err error) bool {
	if err == nil {
		return false
	}
	switch protocol.CodeOf(err) {
	case protocol.CodeCorrupt, protocol.CodeInvalid, protocol.CodeIO:
		v.errors = append(v.errors, err)
	default:
		v.wrongf("%s says %v", what, err)
	}
	return true
}

// judge puts damaged files in place and does everything with them that can be done.
func (h *history) judge(tb testing.TB, files map[string][]byte) *verdict {
	tb.Helper()
	v := &verdict{}
	v.found.check = v.check(tb, write(tb, files), false)
	v.found.deep = v.check(tb, write(tb, files), true)
	m, closeIt, err := library(tb, write(tb, files))
	if v.refused("open", err) {
		v.found.open = true
		return v
	}
	defer closeIt()
	h.read(tb, m, v)
	h.change(tb, m, v)
	v.served = len(v.errors)
	v.found.backup = h.backup(tb, write(tb, files), v)
	return v
}

func (v *verdict) check(tb testing.TB, db string, deep bool) bool {
	tb.Helper()
	report, err := store.Check(guarded(tb), db, options(), deep)
	return v.refused("check", err) || len(report.Problems) > 0
}

// read loads, lists and counts everything.
func (h *history) read(tb testing.TB, m protocol.Methods, v *verdict) {
	tb.Helper()
	ctx := guarded(tb)
	for id, want := range h.now {
		switch reply, err := m.Load(ctx, id); {
		case errors.Is(err, protocol.CodeNotFound):
			v.hidden = append(v.hidden, id)
		case v.refused("load", err):
		case reply.Revision != want.revision || string(reply.State) != want.state:
			v.wrongf("%s is served with revision %d, state %.40q (ever saved: %t); %d %.40q was acknowledged", id, reply.Revision,
				reply.State, h.states[record{reply.Revision, id + string(reply.State)}], want.revision, want.state)
		}
	}
	for id := range h.gone {
		if reply, err := m.Load(ctx, id); err == nil {
			v.wrongf("%s was deleted, and has revision %d again", id, reply.Revision)
		} else if !errors.Is(err, protocol.CodeNotFound) {
			v.refused("load", err)
		}
	}
	n, err := m.Count(ctx, "")
	if !v.refused("count", err) && n != int64(len(h.now)) {
		v.hidden = append(v.hidden, fmt.Sprintf("count gives %d of %d", n, len(h.now)))
	}
	h.list(tb, m, v)
}

func (h *history) list(tb testing.TB, m protocol.Methods, v *verdict) {
	tb.Helper()
	listed, after := map[string]bool{}, ""
	for {
		reply, err := m.List(guarded(tb), "", after, 50)
		if v.refused("list", err) {
			return
		}
		for _, e := range reply.Entries {
			want, ok := h.now[e.ID]
			switch {
			case !ok || listed[e.ID]:
				v.entries = append(v.entries, fmt.Sprintf("%q is listed, once more or without being there", e.ID))
			case e.Revision != want.revision || e.Bytes != int64(len(want.state)):
				v.entries = append(v.entries, fmt.Sprintf("%q is listed with revision %d, %d bytes; it has %d, %d", e.ID, e.Revision, e.Bytes,
					want.revision, len(want.state)))
			}
			listed[e.ID] = true
		}
		if reply.Next == "" {
			break
		}
		if reply.Next <= after {
			v.wrongf("a list behind %q continues behind %q", after, reply.Next)
			return
		}
		after = reply.Next
	}
	for id := range h.now {
		if !listed[id] {
			v.hidden = append(v.hidden, id+" is not listed")
		}
	}
}

// change saves and deletes, and looks whether what was acknowledged is there.
func (h *history) change(tb testing.TB, m protocol.Methods, v *verdict) {
	tb.Helper()
	ctx := guarded(tb)
	for _, id := range []string{agentID(1), agentID(150), agentID(280), "a new one"} {
		state := []byte(`{"after":"the damage"}`)
		reply, err := m.Save(ctx, id, state)
		if v.refused("save", err) {
			continue
		}
		if reply.Revision <= h.revision {
			v.wrongf("%s is saved with revision %d, and %d was given out before", id, reply.Revision, h.revision)
		}
		loaded, err := m.Load(ctx, id)
		if errors.Is(err, protocol.CodeNotFound) || err == nil && (loaded.Revision != reply.Revision || string(loaded.State) != string(state)) {
			v.wrongf("%s was saved with revision %d, and is loaded with %d, %q, %v", id, reply.Revision, loaded.Revision, loaded.State, err)
		} else if v.refused("load", err) {
			continue
		}
		if _, err := m.Delete(ctx, id); v.refused("delete", err) {
			continue
		}
		loaded, err = m.Load(ctx, id)
		if err == nil && loaded.Revision == h.now[id].revision { // there were two keys, or the first one was passed by
			v.hidden = append(v.hidden, id+" was deleted, and is there again as it was before")
		} else if err == nil {
			v.wrongf("%s was deleted, and is loaded with revision %d", id, loaded.Revision)
		} else if !errors.Is(err, protocol.CodeNotFound) {
			v.refused("load", err)
		}
	}
}

// backup makes a copy: either it is refused, or the copy is as good as what was acknowledged.
func (h *history) backup(tb testing.TB, db string, v *verdict) bool {
	tb.Helper()
	dest := filepath.Join(filepath.Dir(db), "copy.db")
	_, err := store.Backup(guarded(tb), db, dest, options())
	if v.refused("backup", err) {
		return true
	}
	m, closeIt, err := library(tb, dest)
	if err != nil {
		v.wrongf("a verified copy cannot be opened: %v", err)
		return false
	}
	defer closeIt()
	in := &verdict{}
	h.read(tb, m, in)
	for _, err := range in.errors {
		v.wrongf("a verified copy is damaged: %v", err)
	}
	for _, text := range slices.Concat(in.wrong, in.hidden, in.entries) {
		v.wrongf("a verified copy: %s", text)
	}
	return false
}

// harmless reports whether nothing at all was noticed.
func (v *verdict) harmless() bool {
	return len(v.errors)+len(v.wrong)+len(v.hidden)+len(v.entries) == 0 && !v.found.check && !v.found.deep
}
