package store_test

import (
	"os"
	"sync"
	"testing"
	"time"

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

// TestReadAside_Often: the threads that read aside end, whatever the scheduler does on them meanwhile.
func TestReadAside_Often(t *testing.T) {
	path := tempDB(t)
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 250 {
				if b := store.ReadAside(path, 100); len(b) != 100 {
					t.Errorf("%d bytes", len(b))
				}
				<-time.After(time.Microsecond)
			}
		})
	}
	all.Wait()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) > 200 {
		t.Errorf("%d threads are left, %v", len(tasks), err)
	}
}
