package store_test

import (
	"fmt"
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
