package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stated/stated/store"
)

// TestStartWriting: it goes through the file piece by piece, and ends when it is told to.
func TestStartWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := store.StartWriting(path, func() bool { return true }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, 3<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{0, 2, 4, 100} {
		asked := 0
		err := store.StartWriting(path, func() bool {
			asked++
			return asked <= most
		})
		if want := min(most+1, 4); err != nil || asked != want {
			t.Errorf("ended after %d: asked %d times, want %d; %v", most, asked, want, err)
		}
	}
}
