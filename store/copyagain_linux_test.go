package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestEndLog_FailedSync is TestCheckpoint_FailedSync for a failure of the writer's own checkpoint, from which the store recovers.
func TestEndLog_FailedSync(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	before := mustRead(t, path)
	longLog(t, s)
	s.FailCheckpoint(store.DriverError(1034, "disk I/O error"), func() { lose(t, path, before) })
	s.ShortenLog()
	_, err := s.Apply(t.Context(), batchOf(save("d", "1")))
	wantCode(t, err, protocol.CodeIO)
	mustApply(t, s, save("d", "1"))                                   // behind a probe
	if got := withoutLog(t, path); !strings.HasPrefix(got, "a b c") { // d may be in the log alone
		t.Errorf("the database has %q without its log", got)
	}
}

// TestCheckpoint_FailedSync: what a failed sync of the database has lost of earlier checkpoints is copied again, before the log
// that has it is begun anew. The system's part is played: what was copied is undone, as if it had never been written.
func TestCheckpoint_FailedSync(t *testing.T) {
	for name, next := range map[string]func(t *testing.T, s *store.Store){
		"closing": func(t *testing.T, s *store.Store) {
			s.LoseNow()
			mustClose(t, s)
			mustClose(t, mustOpen(t, s.Info().Path, impatient()))
		},
		"closing without the writer": func(t *testing.T, s *store.Store) {
			s.LoseNow()
			s.FailCommit(store.DriverError(1034, "disk I/O error"), false)
			if _, err := s.Apply(t.Context(), batchOf(save("d", "1"))); err == nil {
				t.Fatal("the commit did not fail")
			}
			mustClose(t, s)
			mustClose(t, mustOpen(t, s.Info().Path, impatient()))
		},
		"a checkpoint in the background": func(t *testing.T, s *store.Store) {
			if err := s.CheckpointNow(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"the end of the log": func(t *testing.T, s *store.Store) {
			s.ShortenLog()
			mustApply(t, s, save("d", "1"))
			if s.Info().WALEnded != 1 {
				t.Fatal("the log was not ended")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			s := mustOpen(t, path, impatient())
			before := mustRead(t, path)
			longLog(t, s)
			s.FailCheckpoint(store.DriverError(1034, "disk I/O error"), func() { lose(t, path, before) })
			if s.CheckpointNow(t.Context()) == nil {
				t.Fatal("the checkpoint did not fail")
			}
			next(t, s)
			if got := withoutLog(t, path); got != "a b c" {
				t.Errorf("the database has %q without its log", got)
			}
		})
	}
}

// TestClose_FailedSync: where another process goes on with the file, it is what copies again, before it begins the log anew.
func TestClose_FailedSync(t *testing.T) {
	path, s, before, other := besideOutsider(t)
	s.FailCheckpoint(store.DriverError(1034, "disk I/O error"), func() { lose(t, path, before) })
	if s.CheckpointNow(t.Context()) == nil {
		t.Fatal("the checkpoint did not fail")
	}
	s.LoseNow()
	mustClose(t, s)
	mustExec(t, other, "PRAGMA wal_checkpoint(RESTART)")
	if got := withoutLog(t, path); got != "a b c" {
		t.Errorf("the database has %q without its log", got)
	}
}

// TestOpen_CopiedBefore: what another process has counted as copied, and has kept the file open, is copied again. It may
// have been lost by a sync that failed in a process that was killed.
func TestOpen_CopiedBefore(t *testing.T) {
	path, s, before, other := besideOutsider(t)
	if err := s.CheckpointNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	lose(t, path, before)
	s = mustOpen(t, path, impatient())
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if got := withoutLog(t, path); got != "a b c" {
		t.Errorf("the database has %q without its log", got)
	}
}

// TestOpen_LogRemoved: a log that is gone, and of which everything was copied, is begun anew also beside another process
// that has counted it.
func TestOpen_LogRemoved(t *testing.T) {
	path, s, _, other := besideOutsider(t)
	if err := s.CheckpointNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path, impatient())
	mustApply(t, s, save("d", "1"))
	if got := afterCrash(t, path); got != "a b c d" {
		t.Errorf("after a crash there would be %q", got)
	}
	if err := other.Close(); err != nil { // it still has the log that was removed, and must not be the last to leave
		t.Fatal(err)
	}
	mustClose(t, s)
}

// besideOutsider makes a store with a long log that another process has open too; before is what the database was without it.
func besideOutsider(t *testing.T) (path string, s *store.Store, before []byte, other *sql.DB) {
	t.Helper()
	path = tempDB(t)
	s = mustOpen(t, path, impatient())
	before = mustRead(t, path)
	other = mustOutsider(t, path)
	mustQuery[int](t, other, "SELECT count(*) FROM agent_state")
	longLog(t, s)
	return path, s, before, other
}

// longLog saves three agents of 300 pages each.
func longLog(t *testing.T, s *store.Store) {
	t.Helper()
	for _, id := range []string{"a", "b", "c"} {
		mustApply(t, s, save(id, `"`+strings.Repeat("x", 300*4096)+`"`))
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// lose gives a file the content that it had before, in place: what the system has not written, it sooner or later forgets.
func lose(t *testing.T, path string, before []byte) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // SQLite has locks that closing it does not drop, see sqlite.UseOFDLocks
	if err == nil {
		_, err = f.WriteAt(before, 0)
		err = errors.Join(err, f.Truncate(int64(len(before))), f.Close())
	}
	if err != nil {
		t.Error(err)
	}
}

// afterCrash lists what a crash would leave: the database and its log, without the index.
func afterCrash(t *testing.T, path string) string {
	t.Helper()
	crashed := filepath.Join(t.TempDir(), "crashed.db")
	for _, file := range []string{"", "-wal"} {
		if err := os.WriteFile(crashed+file, mustRead(t, path+file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return idsIn(t, crashed)
}

// withoutLog lists what is in a copy of the database alone.
func withoutLog(t *testing.T, path string) string {
	t.Helper()
	alone := filepath.Join(t.TempDir(), "alone.db")
	if err := os.WriteFile(alone, mustRead(t, path), 0o600); err != nil {
		t.Fatal(err)
	}
	return idsIn(t, alone)
}
