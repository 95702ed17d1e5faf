package store_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// leftOpen gives the files of a database as they are while it is open, as a kill leaves them. Three commits are in the
// log, the first of them larger than the others.
func leftOpen(t *testing.T) (files map[string][]byte) {
	t.Helper()
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("base", "0"))
	mustClose(t, s)
	s = mustOpen(t, path, impatient())
	mustApply(t, s, save("a", `"`+strings.Repeat("a", 20_000)+`"`))
	mustApply(t, s, save("b", "1"))
	mustApply(t, s, save("c", "2"))
	files = map[string][]byte{}
	for _, ending := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(path + ending)
		if err != nil {
			t.Fatal(err)
		}
		files[ending] = b
	}
	return files
}

const frame = 4096 + 24

// pages gives the numbers of the pages in a log that end a commit.
func commits(log []byte) (at []int) {
	for i := 0; 32+(i+1)*frame <= len(log); i++ {
		if binary.BigEndian.Uint32(log[32+i*frame+4:]) != 0 {
			at = append(at, i)
		}
	}
	return at
}

func TestOpen_DamagedLog(t *testing.T) {
	intact := leftOpen(t)
	ends := commits(intact["-wal"])
	if len(ends) != 3 || ends[0] < 5 {
		t.Fatalf("the log has commits at %v", ends)
	}
	flip := func(page, at int) func(map[string][]byte) {
		return func(f map[string][]byte) { f["-wal"][32+page*frame+at] ^= 4 }
	}
	without := func(then func(map[string][]byte)) func(map[string][]byte) {
		return func(f map[string][]byte) { delete(f, "-shm"); then(f) }
	}
	cases := map[string]struct {
		hurt func(map[string][]byte)
		lost bool
	}{
		"nothing":                                 {func(map[string][]byte) {}, false},
		"no index":                                {without(func(map[string][]byte) {}), false},
		"no log, no index":                        {without(func(f map[string][]byte) { delete(f, "-wal") }), false},
		"no log":                                  {func(f map[string][]byte) { delete(f, "-wal") }, true},
		"an empty log":                            {func(f map[string][]byte) { f["-wal"] = nil }, true},
		"a log of zeros":                          {func(f map[string][]byte) { clear(f["-wal"]) }, true},
		"a log of zeros, no index":                {without(func(f map[string][]byte) { clear(f["-wal"]) }), false},
		"its header":                              {func(f map[string][]byte) { f["-wal"][17] ^= 1 }, true},
		"its header, no index":                    {without(func(f map[string][]byte) { f["-wal"][17] ^= 1 }), true},
		"a page in the middle":                    {flip(2, 1000), true},
		"a page in the middle, no index":          {without(flip(2, 1000)), true},
		"a checksum in the middle, no index":      {without(flip(2, 17)), true},
		"the last commit but one, no index":       {without(flip(ends[1], 1000)), true},
		"salts of the first commit, no index":     {without(flip(ends[0], 9)), true},
		"the last commit":                         {flip(ends[2], 1000), true},
		"the last commit, no index":               {without(flip(ends[2], 1000)), false}, // as a power cut does
		"cut behind the first commit":             {func(f map[string][]byte) { f["-wal"] = f["-wal"][:32+(ends[0]+1)*frame] }, true},
		"cut behind the first commit, no index":   {without(func(f map[string][]byte) { f["-wal"] = f["-wal"][:32+(ends[0]+1)*frame] }), false},
		"half a page more":                        {func(f map[string][]byte) { f["-wal"] = append(f["-wal"], make([]byte, 2000)...) }, false},
		"the index":                               {func(f map[string][]byte) { f["-shm"][17] ^= 1 }, false},
		"the index, and a page in the middle":     {func(f map[string][]byte) { f["-shm"][17] ^= 1; flip(2, 1000)(f) }, true},
		"the index cut, and a page in the middle": {func(f map[string][]byte) { f["-shm"] = f["-shm"][:70]; flip(2, 1000)(f) }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			files := map[string][]byte{}
			for ending, b := range intact {
				files[ending] = append([]byte(nil), b...)
			}
			c.hurt(files)
			path := filepath.Join(t.TempDir(), "agents.db")
			for ending, b := range files {
				if err := os.WriteFile(path+ending, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o := impatient()
			o.Durability = store.DurabilityFull
			s, err := store.Open(t.Context(), path, o)
			if err == nil {
				mustClose(t, s)
			}
			if c.lost {
				wantCode(t, err, protocol.CodeCorrupt)
				if _, err := store.OpenReadOnly(t.Context(), path, o); protocol.CodeOf(err) != protocol.CodeCorrupt {
					t.Errorf("for reading: %v", err)
				}
				if _, err := store.Check(t.Context(), path, store.Options{}, false); protocol.CodeOf(err) != protocol.CodeCorrupt {
					t.Errorf("check: %v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOpen_StaleIndex: nobody syncs the index of a log, so that after a power cut it may be from a time before the log was
// copied into the database and emptied.
func TestOpen_StaleIndex(t *testing.T) {
	for name, c := range map[string]struct {
		written time.Time
		lost    bool
	}{
		"from before the start of the system": {time.Unix(1_000_000_000, 0), false},
		"from now":                            {time.Now(), true},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			s := mustOpenUnchecked(t, path, impatient())
			mustApply(t, s, save("a", "1"))
			index := must(os.ReadFile(path + "-shm")) // drops locks that nobody needs here
			mustClose(t, s)
			if err := errors.Join(os.WriteFile(path+"-shm", index, 0o600), os.WriteFile(path+"-wal", nil, 0o600),
				os.Chtimes(path+"-shm", c.written, c.written)); err != nil {
				t.Fatal(err)
			}
			o := impatient()
			o.Durability = store.DurabilityFull
			s, err := store.Open(t.Context(), path, o)
			if c.lost {
				wantCode(t, err, protocol.CodeCorrupt)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
				t.Errorf("%q, %v", r.State, err)
			}
			mustClose(t, s)
		})
	}
}

// TestOpen_EmptyBesideLog: SQLite takes an empty or missing file for a new database and removes the log that lies
// beside it.
func TestOpen_EmptyBesideLog(t *testing.T) {
	path := tempDB(t)
	for _, files := range []map[string]string{
		{path + "-wal": strings.Repeat("x", 100)},
		{path + "-wal": strings.Repeat("x", 100), path: ""},
	} {
		for name, content := range files {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := store.Open(t.Context(), path, impatient())
		wantCode(t, err, protocol.CodeCorrupt)
		if b, err := os.ReadFile(path + "-wal"); err != nil || len(b) != 100 {
			t.Errorf("the log has %d bytes, %v", len(b), err)
		}
	}
}

// TestOpen_Emptied: a file that has lost all its bytes is no new store, unless somebody removes it.
func TestOpen_Emptied(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	id := s.Info().StoreID
	mustClose(t, s)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one finds what the first one has left
		_, err := store.Open(t.Context(), path, impatient())
		wantCode(t, err, protocol.CodeCorrupt)
		if !strings.Contains(err.Error(), id) {
			t.Errorf("the store that was lost is not named: %v", err)
		}
	}
	_, err := store.OpenReadOnly(t.Context(), path, impatient())
	wantCode(t, err, protocol.CodeCorrupt)
	_, err = store.Check(t.Context(), path, impatient(), false)
	wantCode(t, err, protocol.CodeCorrupt)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path, impatient())
	if got := s.Info().StoreID; got == id || got == "" {
		t.Errorf("the new store has the id %q, the one before had %q", got, id)
	}
}
