package store_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stated/stated/store"
)

// TestLog_Passes: checkpoints in the background are asked for by halves of what is left to the mark.
func TestLog_Passes(t *testing.T) {
	const walBytes = 256 * (4096 + 24) * 32 // a mark of 8,192 pages
	grow := func(l store.Log, step, to int64) (asked []int64) {
		for frames := int64(0); frames < to; {
			frames += step
			if l.Grow(step) {
				asked = append(asked, frames)
			}
		}
		return asked
	}
	for _, c := range []struct {
		step, to int64
		want     []int64
	}{
		{1, 8192, []int64{4096, 6144, 7168, 7680, 7936}},
		{100, 8200, []int64{4100, 6200, 7200, 7700, 8000}},
		{3000, 9000, []int64{6000, 9000}},
		{1, 12100, []int64{4096, 6144, 7168, 7680, 7936, 9984, 12032}}, // a reader keeps it from ending
	} {
		l := store.NewLog("", walBytes, store.DurabilityFull)
		for range 2 { // it begins anew
			if asked := grow(l, c.step, c.to); !slices.Equal(asked, c.want) {
				t.Errorf("by %d pages to %d: asked at %v, want %v", c.step, c.to, asked, c.want)
			}
			l.Begin()
		}
		l.SawOutsider()
		if asked, want := grow(l, 1, 900), []int64{450, 675, 787, 843, 871}; l.Mark() != 900 || !slices.Equal(asked, want) {
			t.Errorf("beside outsiders the mark is %d, and asked at %v, want %v", l.Mark(), asked, want)
		}
	}
	l := store.NewLog("", walBytes, store.DurabilityFull)
	grow(l, 1, 3000)
	l.SawOutsider()
	if asked, want := grow(l, 1, 500), []int64{1, 226, 451}; !slices.Equal(asked, want) {
		t.Errorf("an outsider came when the log had 3,000 pages: asked at %v more, want %v", asked, want)
	}
}

// TestLog_WritesOut: the database is written out when the log will soon end, it is large, and its sync will be waited for.
func TestLog_WritesOut(t *testing.T) {
	const walBytes = 3 * (4096 + 24) * 300 // a mark of 900 pages
	for _, c := range []struct {
		size, frames int64
		durability   store.Durability
		want         bool
	}{
		{store.LargeDB, 600, store.DurabilityFull, true},
		{store.LargeDB, 600, store.DurabilityNormal, true},
		{store.LargeDB, 600, store.DurabilityOff, false},
		{store.LargeDB, 599, store.DurabilityFull, false},
		{store.LargeDB - 1, 600, store.DurabilityFull, false},
	} {
		path := tempDB(t)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, c.size); err != nil {
			t.Fatal(err)
		}
		l := store.NewLog(path, walBytes, c.durability)
		l.Grow(c.frames)
		if got := l.WritesOut(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		if err := os.Remove(path); err != nil { // it is no database, and must not be checked as one
			t.Fatal(err)
		}
	}
}

// TestLog_WrittenOut: checkpoints in the background write a large database out once the log has grown, and no other.
func TestLog_WrittenOut(t *testing.T) {
	o := smallLog()
	o.Durability = store.DurabilityNormal
	s := mustOpen(t, tempDB(t), o)
	var written atomic.Int64
	s.OnWriteOut(func() { written.Add(1) })
	n := 0
	growTo := func(frames int64) {
		for s.LogFrames() < frames {
			n++
			mustApply(t, s, save("small", fmt.Sprint(n)))
		}
		if s.LogFrames() >= s.LogMark() {
			t.Fatalf("the log has %d pages, the mark is %d", s.LogFrames(), s.LogMark())
		}
		if err := s.CheckpointNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	growTo(s.LogMark() * 3 / 4)
	if n := written.Load(); n != 0 {
		t.Errorf("a small database was written out %d times", n)
	}
	state := string(append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, 1<<20)...), '"'))
	for i := 0; s.Info().DBBytes < store.LargeDB; i++ {
		mustApply(t, s, save(fmt.Sprint("large", i), state))
	}
	for s.LogFrames() >= s.LogMark() { // the next change ends it
		mustApply(t, s, save("small", "0"))
	}
	written.Store(0)
	growTo(s.LogMark() / 4)
	if n := written.Load(); n != 0 {
		t.Errorf("with a log that has just begun the database was written out %d times", n)
	}
	growTo(s.LogMark() * 3 / 4)
	if written.Load() == 0 {
		t.Error("a large database was not written out")
	}
}
