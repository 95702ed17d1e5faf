package damage

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
)

// FuzzOpen puts bytes into one of a database's files, or in place of it, and does with the outcome all that can be done.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), uint32(24), []byte{0, 0, 0, 9})                    // the change counter of the database
	f.Add(uint8(0), uint32(100), []byte{2})                            // the kind of its first page
	f.Add(uint8(0), uint32(4096), []byte{0x0d, 0, 0, 0, 1, 0x0f})      // a page
	f.Add(uint8(0), uint32(44), []byte("0000"))                        // the version of its format
	f.Add(uint8(1), uint32(8), []byte{0, 0, 2, 0})                     // the page size of the log
	f.Add(uint8(1), uint32(32+4), []byte{0, 0, 0, 1})                  // a page of the log becomes a commit
	f.Add(uint8(1), uint32(32+4120+100), []byte("x"))                  // a page of the log
	f.Add(uint8(2), uint32(16), []byte{0xff, 0xff, 0xff, 0x7f})        // what the index counts
	f.Add(uint8(2), uint32(136), bytes.Repeat([]byte{1, 0, 0, 0}, 16)) // its first pages
	f.Add(uint8(3), uint32(0), []byte("SQLite format 3\x00"))
	f.Add(uint8(4), uint32(0), []byte{0x37, 0x7f, 6, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0})
	f.Add(uint8(5), uint32(0), []byte{})
	h := small(f)
	f.Fuzz(func(t *testing.T, where uint8, at uint32, b []byte) {
		files := h.copyFiles()
		ending := endings[where%3]
		if where%6 < 3 {
			file := files[ending]
			copy(file[int(at)%len(file):], b)
		} else {
			files[ending] = b
		}
		v := h.judge(t, files)
		// Whoever writes bytes on purpose can also write a row with its checksum: a fuzzer does not.
		for _, text := range v.wrong {
			t.Error(text)
		}
		if len(v.hidden)+len(v.entries) > 0 && !v.found.check && !v.found.deep {
			t.Errorf("check finds nothing, but %q %q", v.hidden, v.entries)
		}
	})
}

// small is a history of few agents, the last changes in the log, as it is while the file is open.
func small(tb testing.TB) *history {
	tb.Helper()
	h := newHistory()
	db := filepath.Join(tb.TempDir(), "agents.db")
	for range 2 {
		m, closeIt, err := library(tb, db)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range 12 {
			h.save(tb, m, fmt.Sprintf("a%d", i), i*9)
		}
		h.files = read(tb, db)
		closeIt()
	}
	return h
}
