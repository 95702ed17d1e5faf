package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestRestore_InUseWithoutLocks: a program that has a file in rollback mode open holds no lock between its
// transactions. On Linux it is seen nevertheless.
func TestRestore_InUseWithoutLocks(t *testing.T) {
	src, path := tempDB(t), pythonFile(t)
	mustFill(t, src, "a")
	outside := mustOutsider(t, path)
	mustExec(t, outside, pySave, "alice", "2")
	_, err := store.Restore(t.Context(), src, path, impatient())
	wantCode(t, err, protocol.CodeUnavailable)
	if want := fmt.Sprintf("%s is open in another program, process %d", path, os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
	mustExec(t, outside, pySave, "alice", "3")
	if err := outside.Close(); err != nil {
		t.Fatal(err)
	}
	mustRestore(t, src, path)
}

// TestRestore_LateOpener: a program may open the old file in the last moment before the new one has its name, and wait
// for its lock. It must not bring pages of the old file into the log of the new one: the restore ends after it has left.
func TestRestore_LateOpener(t *testing.T) {
	for name, stays := range map[string]bool{"goes": false, "stays": true} {
		t.Run(name, func(t *testing.T) {
			src, path := tempDB(t), tempDB(t)
			mustFill(t, src, "a", "b", "c")
			mustFill(t, path, "d", "e")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			late := must(sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw"}).String()))
			late.SetMaxOpenConns(1)
			gone := make(chan error, 1)
			done, err := store.RestoreSteps(ctx, src, path, impatient(), func(n, of int) bool {
				switch {
				case n == of-3: // the rename is next
					if _, err := late.Exec(pySave, "late", "1"); err == nil {
						t.Error("others are not excluded")
					}
				case n == of-1 && stays:
					cancel()
				case n == of-1:
					go func() { gone <- late.Close() }()
				}
				return true
			})
			if stays {
				wantCode(t, err, protocol.CodeUnavailable)
				if want := fmt.Sprintf("process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
				if _, err := late.Exec(pySave, "late", "1"); err == nil {
					t.Error("the old file can still be written")
				}
				gone <- late.Close()
			} else if err != nil || !done {
				t.Fatal(done, err)
			}
			if err := <-gone; err != nil {
				t.Error(err)
			}
			mustBeSound(t, path)
			if got := idsIn(t, path); got != "a b c" {
				t.Errorf("agents %q", got)
			}
		})
	}
}
