package damage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// TestKeys damages nothing but the pages of the index over the ids. Rows have checksums, keys have none: an agent whose
// key is damaged may be said not to be there. This measures how often, and expects check to find every such file.
func TestKeys(t *testing.T) { testKeys(t, harness.Random(t)) }

// TestKeys_Overlooked has a bit flip by which an agent is not found when it is saved, and found again, as it was before, when
// it is loaded.
func TestKeys_Overlooked(t *testing.T) {
	testKeys(t, rand.New(rand.NewPCG(985436282148060268, 0))) //nolint:gosec // chooses damage, guards nothing
}

func testKeys(t *testing.T, r *rand.Rand) {
	t.Helper()
	h := historyOf(t, closed)
	var keys []int // pages
	for page := 1; page < len(h.files[""])/h.pageSize; page++ {
		if kind := h.files[""][page*h.pageSize]; kind == 2 || kind == 10 {
			keys = append(keys, page)
		}
	}
	if len(keys) < 3 {
		t.Fatalf("the index has %d pages, too few to swap two", len(keys))
	}
	hurt := []struct {
		name string
		do   func(r *rand.Rand, file []byte)
	}{
		{"bit", func(r *rand.Rand, file []byte) { within(r, file, keys, h.pageSize)[0] ^= 1 << r.IntN(8) }},
		{"noise", func(r *rand.Rand, file []byte) {
			b := within(r, file, keys, h.pageSize)
			for i := range min(len(b), 64) {
				b[i] = byte(r.Uint32())
			}
		}},
		{"pages swapped", func(r *rand.Rand, file []byte) {
			i := r.IntN(len(keys))
			a, b := keys[i]*h.pageSize, keys[(i+1+r.IntN(len(keys)-1))%len(keys)]*h.pageSize
			one := bytes.Clone(file[a : a+h.pageSize])
			copy(file[a:], file[b:b+h.pageSize])
			copy(file[b:], one)
		}},
	}
	for _, how := range hurt {
		var sum tally
		for range long(5, 40) {
			files := h.copyFiles()
			how.do(r, files[""])
			v := h.judge(t, files)
			sum.add(v)
			if len(v.hidden)+len(v.entries) > 0 && !v.found.check {
				t.Errorf("%s: check finds nothing, but %q %q", how.name, v.hidden, v.entries)
			}
			for _, text := range v.wrong {
				t.Errorf("%s: %s", how.name, text)
			}
		}
		t.Logf("%s: %v", how.name, sum)
	}
}

// within draws a place in one of the pages, and gives the page from there.
func within(r *rand.Rand, file []byte, pages []int, size int) []byte {
	page := pages[r.IntN(len(pages))]
	return file[page*size+r.IntN(size) : (page+1)*size]
}

// TestValue flips each bit of one state in turn. SQLite's own check does not see it; a load does, and check --deep, and
// backup.
func TestValue(t *testing.T) {
	h := historyOf(t, closed)
	const id = "the last one"
	at := bytes.Index(h.files[""], []byte(h.now[id].state))
	if at < 0 {
		t.Fatal("the state is not in the file")
	}
	n := 8 * len(h.now[id].state)
	for bit := 0; bit < n; bit += long(97, 13) {
		files := h.copyFiles()
		files[""][at+bit/8] ^= 1 << (bit % 8)
		db := write(t, files)
		if said := integrity(t, db); said != "ok" {
			t.Fatalf("bit %d: SQLite sees it by itself: %s", bit, said)
		}
		m, closeIt, err := library(t, db)
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := m.Load(guarded(t), id); protocol.CodeOf(err) != protocol.CodeCorrupt {
			t.Errorf("bit %d: load gives %q, %v", bit, reply.State, err)
		}
		closeIt()
		v := &verdict{}
		if v.check(t, db, false) || !v.check(t, db, true) {
			t.Errorf("bit %d: check --deep should find it, and check cannot: %v", bit, v.errors)
		}
		if !h.backup(t, db, v) {
			t.Errorf("bit %d: it is copied: %q", bit, v.wrong)
		}
	}
}

// TestNumbers puts nonsense into the row that the whole store depends on.
func TestNumbers(t *testing.T) {
	h := historyOf(t, closed)
	for _, set := range []string{
		"schema_version = 0", "schema_version = -1", "schema_version = 'one'", "schema_version = 1.5",
		"revision = -1", "revision = 'x'", "revision = 1.5", "revision = 9223372036854775807",
		"store_id = ''", "store_id = x'00'",
	} {
		t.Run(set, func(t *testing.T) {
			db := write(t, h.files)
			execute(t, db, "UPDATE stated_meta SET "+set)
			before := read(t, db)
			m, closeIt, err := library(t, db)
			if err == nil {
				reply, err := m.Save(guarded(t), "a", []byte("1"))
				t.Errorf("it is opened; a save gives %d, %v", reply.Revision, err)
				closeIt()
			} else if protocol.CodeOf(err) != protocol.CodeCorrupt {
				t.Errorf("open says %v", err)
			}
			if after := read(t, db); !bytes.Equal(after[""], before[""]) {
				t.Error("the file was changed")
			}
			v := &verdict{}
			if !v.check(t, db, false) {
				t.Error("check finds nothing")
			}
		})
	}
	for _, statement := range []string{"DELETE FROM stated_meta", "DROP TRIGGER stated_insert"} {
		t.Run(statement, func(t *testing.T) {
			db := write(t, h.files)
			execute(t, db, statement)
			if _, closeIt, err := library(t, db); err == nil {
				closeIt()
				t.Error("it is opened")
			}
			v := &verdict{}
			if !v.check(t, db, false) {
				t.Error("check finds nothing")
			}
		})
	}
}

// TestCounter takes the counter back, as a flipped bit does. check reports it, and no agent's revision goes down.
func TestCounter(t *testing.T) {
	h := historyOf(t, closed)
	db := write(t, h.files)
	execute(t, db, fmt.Sprintf("UPDATE stated_meta SET revision = %d", h.revision/2))
	v := &verdict{}
	if !v.check(t, db, false) {
		t.Error("check finds nothing")
	}
	m, closeIt, err := library(t, db)
	if err != nil {
		return // found at once
	}
	defer closeIt()
	for id, was := range h.now {
		if reply, err := m.Save(guarded(t), id, []byte("1")); err != nil || reply.Revision <= was.revision {
			t.Errorf("%s had revision %d, and has %d, %v", id, was.revision, reply.Revision, err)
		}
	}
}
