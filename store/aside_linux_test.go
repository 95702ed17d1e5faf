package store_test

import (
	"os"
	"testing"

	"github.com/stated/stated/store"
)

// TestReadAside: to look at the index of a log that this process has open leaves SQLite's locks on it alone, which an
// ordinary open and close would drop.
func TestReadAside(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	file, err := os.Stat(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	before := store.LocksOn(file)
	if before == 0 {
		t.Fatal("there are no locks to lose")
	}
	if b := store.ReadAside(path+"-shm", 100); len(b) != 100 {
		t.Fatalf("%d bytes", len(b))
	}
	if after := store.LocksOn(file); after != before {
		t.Errorf("%d locks, and then %d", before, after)
	}
	b, err := os.ReadFile(path + "-shm")
	if err != nil || len(b) == 0 {
		t.Fatal(err)
	}
	if after := store.LocksOn(file); after != 0 {
		t.Errorf("an ordinary read leaves %d locks: it is no comparison any more", after)
	}
}
