package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stated/stated/store"
)

// TestClose_WhileAChildStarts copies the descriptor of the lock, as a fork does that another goroutine has begun, and
// opens the file again.
func TestClose_WhileAChildStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agents.db")
	s, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	copied := -1
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range open {
		if name, _ := os.Readlink("/proc/self/fd/" + e.Name()); name == path+".owner" {
			var fd int
			if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
				t.Fatal(err)
			}
			if copied, err = syscall.Dup(fd); err != nil {
				t.Fatal(err)
			}
		}
	}
	if copied < 0 {
		t.Fatal("no descriptor is open on the file of the lock")
	}
	defer syscall.Close(copied)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatalf("the store was closed, but another one is told: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
