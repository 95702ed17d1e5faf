package store_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestCommit_Locked: a COMMIT that meets a lock was not applied; the batch is run again.
func TestCommit_Locked(t *testing.T) {
	c := &clock{}
	s := mustOpen(t, tempDB(t), c.options())
	mustApply(t, s, save("a", "1"))
	s.FailCommit(store.DriverError(5, "database is locked"), false)
	b := batchOf(save("a", "2"), save("b", "1"))
	b.onTake = func(take int) {
		if take == 2 { // one has left, one has come
			ops := batchOf(save("b", "2"), save("c", "2"))
			b.ops = ops.ops
		}
	}
	replies, err := s.Apply(t.Context(), b)
	if err != nil || len(replies) != 2 || replies[0].Revision != 2 || replies[1].Revision != 3 {
		t.Fatalf("%+v, %v", replies, err)
	}
	if b.taken != 2 || b.release != 1 || b.asked != 2 || len(c.slept) != 1 {
		t.Errorf("taken %d, released %d, asked %d, slept %v", b.taken, b.release, b.asked, c.slept)
	}
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("who left was applied: %s, %v", r.State, err)
	}
}

// TestCommit_Full: a full disk leaves the transaction undone, and its revisions are free.
func TestCommit_Full(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	mustApply(t, s, save("a", "1"))
	s.FailCommit(store.DriverError(13, "database or disk is full"), false)
	b := batchOf(save("a", "2"))
	_, err := s.Apply(t.Context(), b)
	wantCode(t, err, protocol.CodeFull)
	if b.taken != 1 || b.release != 1 {
		t.Errorf("taken %d, released %d", b.taken, b.release)
	}
	if r, err := apply1(t, s, save("b", "1")); err != nil || r.Revision != 3 { // the probe has taken 2
		t.Errorf("afterwards: %+v, %v", r, err)
	}
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("a is %s, %v", r.State, err)
	}
	if got := s.Info().InDoubt; got != 0 {
		t.Errorf("%d in doubt", got)
	}
}

// TestCommit_InDoubt: after any other error nobody can tell. The batch is not given back, the file is opened anew,
// and the revisions that may be in it are not given out again.
func TestCommit_InDoubt(t *testing.T) {
	for _, code := range []int{10, 778, 1034, 11, 8, 1, 9} {
		for _, committed := range []bool{false, true} {
			t.Run(fmt.Sprint(code, committed), func(t *testing.T) {
				path := tempDB(t)
				s := mustOpen(t, path, impatient())
				mustApply(t, s, save("a", "1"))
				s.FailCommit(store.DriverError(code, "it failed"), committed)
				b := batchOf(save("a", "2"), save("b", "2"))
				replies, err := s.Apply(t.Context(), b)
				wantCode(t, err, protocol.CodeUnknown)
				mustBeTyped(t, err)
				if replies != nil || b.taken != 1 || b.release != 0 {
					t.Errorf("%v; taken %d, released %d", replies, b.taken, b.release)
				}
				want := "1"
				if committed {
					want = "2"
				}
				if r, err := load(t, s, "a"); err != nil || string(r.State) != want {
					t.Errorf("a is %s, %v", r.State, err)
				}
				if r, err := apply1(t, s, save("c", "1")); err != nil || r.Revision != 5 { // the probe has taken 4
					t.Errorf("afterwards: %+v, %v; want revision 5", r, err)
				}
				if got := s.Info().InDoubt; got != 1 {
					t.Errorf("%d in doubt", got)
				}
			})
		}
	}
}

// TestReopen_Info: what Info tells may be asked for while the writer opens the file anew.
func TestReopen_Info(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	want := s.Info().StoreID
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			s.FailCommit(store.DriverError(1034, "it failed"), false)
			_, err := s.Apply(t.Context(), batchOf(save("a", "1")))
			wantCode(t, err, protocol.CodeUnknown)
			mustApply(t, s, save("b", fmt.Sprint(i)))
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		if got := s.Info().StoreID; got != want || got == "" {
			t.Fatalf("the store is %q, was %q", got, want)
		}
	}
}

// TestMoved: SQLite goes on writing into a file that has been moved away or removed. The store does not.
func TestMoved(t *testing.T) {
	for name, test := range map[string]struct {
		away func(path string) error
		back func(path string) error
	}{
		"moved": {
			func(path string) error { return os.Rename(path, path+".moved") },
			func(path string) error { return os.Rename(path+".moved", path) },
		},
		"all of it moved": {
			func(path string) error {
				return errors.Join(os.Rename(path, path+".moved"), os.Rename(path+"-wal", path+".moved-wal"), os.Rename(path+"-shm", path+".moved-shm"))
			},
			func(path string) error {
				return errors.Join(os.Rename(path+".moved", path), os.Rename(path+".moved-wal", path+"-wal"), os.Rename(path+".moved-shm", path+"-shm"))
			},
		},
		"replaced": {
			func(path string) error {
				return errors.Join(os.Link(path, path+".moved"), os.WriteFile(path+".new", []byte("something else"), 0o600), os.Rename(path+".new", path))
			},
			func(path string) error { return os.Rename(path+".moved", path) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			s := mustOpen(t, path, impatient())
			mustApply(t, s, save("a", "1"))
			if err := test.away(path); err != nil {
				t.Fatal(err)
			}
			_, err := s.Apply(t.Context(), batchOf(save("b", "1")))
			wantCode(t, err, protocol.CodeUnknown) // it went into the file, wherever that is
			for range 3 {
				b := batchOf(save("c", "1"))
				_, err := s.Apply(t.Context(), b)
				wantCode(t, err, protocol.CodeUnavailable)
				mustBeTyped(t, err)
				if b.taken != 0 {
					t.Error("a batch was taken")
				}
			}
			if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
				t.Errorf("reading: %s, %v", r.State, err)
			}
			if err := test.back(path); err != nil {
				t.Fatal(err)
			}
			mustRecover(t, s)
			if r, err := apply1(t, s, save("d", "1")); err != nil || r.Revision != 4 {
				t.Errorf("back again: %+v, %v", r, err)
			}
			for _, id := range []string{"a", "b", "d"} {
				if _, err := load(t, s, id); err != nil {
					t.Error(err)
				}
			}
			if got := s.Info().InDoubt; got != 1 {
				t.Errorf("%d in doubt", got)
			}
		})
	}
}

// TestMoved_LogOfAnother: the log was replaced by one that is in use. Ours must not be brought in beside it.
func TestMoved_LogOfAnother(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	before := mustHash(t, path)
	if err := errors.Join(os.Rename(path+"-wal", path+".ours"), os.WriteFile(path+"-wal", []byte("frames"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Apply(t.Context(), batchOf(save("b", "1")))
	wantCode(t, err, protocol.CodeUnknown)
	_, err = s.Apply(t.Context(), batchOf(save("c", "1")))
	wantCode(t, err, protocol.CodeUnavailable)
	if mustHash(t, path) != before {
		t.Error("the database was changed")
	}
	if err := os.Rename(path+".ours", path+"-wal"); err != nil {
		t.Fatal(err)
	}
	mustRecover(t, s)
	if r, err := apply1(t, s, save("d", "1")); err != nil || r.Revision != 4 {
		t.Errorf("back again: %+v, %v", r, err)
	}
}

// TestMoved_Log: somebody removes the write-ahead log, with acknowledged changes in it. They are brought into the
// database, and what is acknowledged afterwards is found by a program that opens the file then.
func TestMoved_Log(t *testing.T) {
	for _, replace := range []bool{false, true} {
		t.Run(fmt.Sprint("replaced ", replace), func(t *testing.T) {
			path := tempDB(t)
			s := mustOpen(t, path, impatient())
			for i := range 5 {
				mustApply(t, s, save(fmt.Sprint("before", i), "1"))
			}
			if err := os.Remove(path + "-wal"); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := s.Apply(t.Context(), batchOf(save("doubt", "1")))
			wantCode(t, err, protocol.CodeUnknown)
			r, err := apply1(t, s, save("after", "1"))
			if err != nil || r.Revision != 8 { // the probe has taken 7
				t.Errorf("%+v, %v", r, err)
			}
			copied := tempDB(t) // what another process would find, were ours killed now
			for _, suffix := range []string{"", "-wal"} {
				b, err := os.ReadFile(path + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(copied+suffix, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again := mustOpen(t, copied, impatient())
			for _, id := range []string{"before0", "before4", "after"} {
				for what, s := range map[string]*store.Store{"here": s, "in a copy": again} {
					if _, err := load(t, s, id); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
			}
		})
	}
}
