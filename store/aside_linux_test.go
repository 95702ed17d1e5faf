package store_test

import (
	"os"
	"testing"

	"github.com/stated/stated/store"
)

// TestReadAside: the index of a log that this process has open is left alone, since to close it would drop SQLite's locks
// on it; that of nobody is read.
func TestReadAside(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	file, err := os.Stat(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	before := store.LocksOn(file)
	if before == 0 {
		t.Fatal("there are no locks to lose")
	}
	if b := store.ReadAside(path+"-shm", 100); b != nil {
		t.Errorf("%d bytes of a file that is in use", len(b))
	}
	if after := store.LocksOn(file); after != before {
		t.Errorf("%d locks, and then %d", before, after)
	}
	copied := path + ".copy"
	b, err := os.ReadFile(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	if after := store.LocksOn(file); after != 0 {
		t.Errorf("an ordinary read leaves %d locks: it is no comparison any more", after)
	}
	if err := os.WriteFile(copied, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if b := store.ReadAside(copied, 100); len(b) != 100 {
		t.Errorf("%d bytes of a file that nobody uses", len(b))
	}
}
