package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/stated/stated/store/sqlite"
)

// mustGather opens a new database with a log, and a second connection that does not gather.
func mustGather(tb testing.TB) (writer, reader *sqlite.Conn, path string) {
	tb.Helper()
	if !sqlite.CanGather() {
		tb.Fatalf("SQLite %s was not looked at: see gather.go, then set gatherVersion", sqlite.Version)
	}
	path = filepath.Join(tb.TempDir(), "a.db")
	reader = mustConnect(tb, path, false)
	mustExec(tb, reader, "PRAGMA journal_mode=WAL")
	writer, err := sqlite.Open(path, false, true)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { writer.Close() })
	mustExec(tb, writer, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
	return writer, reader, path
}

// TestGather_Assumptions holds SQLite to what gather.go relies on, in commits small and large, with pages that are written
// and read again before the commit, undone savepoints, and a log that begins anew.
func TestGather_Assumptions(t *testing.T) {
	t.Run("small cache", func(t *testing.T) { testAssumptions(t, 10) })
	t.Run("cache", func(t *testing.T) {
		if frames, writes := testAssumptions(t, 10_000); frames < 500 || writes > frames/10 {
			t.Errorf("%d frames in %d writes", frames, writes)
		}
	})
}

func testAssumptions(t *testing.T, cachePages int) (frames, writes int) {
	writer, reader, path := mustGather(t)
	mustExec(t, writer, fmt.Sprint("PRAGMA cache_size=", cachePages))
	index, err := os.Open(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { index.Close() }) // behind the connections, whose locks that drops
	var headers [96]byte
	written, commits, synced, late := 0, 0, true, 0
	writer.Watched(sqlite.Watch{
		Write: func(n int, _ int64) int32 {
			writes, written, synced = writes+1, written+n, false
			if n >= 128<<10 {
				t.Errorf("a write of %d bytes", n)
			}
			return 0
		},
		Sync: func() { synced = true },
		Barrier: func() {
			if _, err := index.ReadAt(headers[:], 0); err != nil {
				t.Error(err)
			}
			// Between the two copies of the header that it writes, SQLite has a barrier.
			publishes := !bytes.Equal(headers[:48], headers[48:])
			if publishes {
				commits++
			}
			if publishes && !synced {
				late++
			}
		},
	})
	row := "(randomblob(3000))"
	many := strings.Repeat(row+",", 299) + row
	for i, sql := range []string{
		"INSERT INTO t (x) VALUES " + row,
		"INSERT INTO t (x) VALUES " + many, // far beyond the cache
		"BEGIN; INSERT INTO t (x) VALUES " + many + "; UPDATE t SET x = randomblob(100) WHERE id % 3 = 0; COMMIT",
		"BEGIN; INSERT INTO t (x) VALUES " + row + "; SAVEPOINT s; INSERT INTO t (x) VALUES " + many + "; ROLLBACK TO s; INSERT INTO t (x) VALUES " + row + "; COMMIT",
		"BEGIN; INSERT INTO t (x) VALUES " + many + "; ROLLBACK",
		"PRAGMA wal_checkpoint(RESTART)",
		"INSERT INTO t (x) VALUES " + row,
		"DELETE FROM t WHERE id % 2 = 0",
		"PRAGMA wal_checkpoint(TRUNCATE)",
		"INSERT INTO t (x) VALUES " + many,
	} {
		synced = true
		mustExec(t, writer, sql)
		if !synced && !strings.HasSuffix(sql, "ROLLBACK") {
			t.Errorf("statement %d is done and what it wrote is not synced", i)
		}
		const query = "SELECT count(*), sum(id), sum(length(x)), group_concat(substr(hex(x), -40)) FROM t"
		want, _, err := mustPrepare(t, writer, query).Row(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := mustPrepare(t, reader, query).Row(t.Context())
		if fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
			t.Errorf("statement %d: another connection sees %v, not %v (%v)", i, got, want, err)
		}
		if ok, _, err := mustPrepare(t, reader, "PRAGMA integrity_check").Row(t.Context()); err != nil || ok[0] != "ok" {
			t.Errorf("statement %d: %v %v", i, ok, err)
		}
	}
	if commits < 7 || late != 0 {
		t.Errorf("of %d times that something was published, %d times its frames were not synced", commits, late)
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() < 1<<20 {
		t.Error("the log:", info, err)
	}
	return written / (4096 + 24), writes
}

// TestGather_Fails has a write fail that was put off: it is the error of the commit that caused it, and nobody sees that.
func TestGather_Fails(t *testing.T) {
	writer, reader, path := mustGather(t)
	mustExec(t, writer, "INSERT INTO t VALUES (1, 'before')")
	fail := int32(lib.SQLITE_IOERR_WRITE)
	writer.Watched(sqlite.Watch{Write: func(int, int64) int32 { return fail }, Sync: func() {}, Barrier: func() {}})
	mustExec(t, writer, "BEGIN; INSERT INTO t VALUES (2, 'lost')")
	if err := writer.Exec(t.Context(), "COMMIT"); code(err) != lib.SQLITE_IOERR_WRITE {
		t.Error("the commit:", err)
	}
	fail = 0
	if n, _, err := mustPrepare(t, reader, "SELECT count(*) FROM t").Row(t.Context()); err != nil || n[0] != int64(1) {
		t.Error("another connection sees", n, err)
	}
	mustExec(t, writer, "INSERT INTO t VALUES (3, 'again')")
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	again, err := sqlite.Open(path, false, true)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	mustExec(t, again, "INSERT INTO t VALUES (4, 'after')")
	if n, _, err := mustPrepare(t, reader, "SELECT count(*) FROM t").Row(t.Context()); err != nil || n[0] != int64(3) {
		t.Error("after the connection was opened anew", n, err)
	}
}

// TestExec_FailsCancelled: what went wrong while the context ended is not taken for its interruption.
func TestExec_FailsCancelled(t *testing.T) {
	writer, _, _ := mustGather(t)
	ctx, cancel := context.WithCancel(t.Context())
	writer.Watched(sqlite.Watch{
		Write: func(int, int64) int32 {
			cancel()
			return lib.SQLITE_IOERR_WRITE
		},
		Sync:    func() {},
		Barrier: func() {},
	})
	mustExec(t, writer, "BEGIN; INSERT INTO t VALUES (1, 'x')")
	if err := writer.Exec(ctx, "COMMIT"); code(err) != lib.SQLITE_IOERR_WRITE || errors.Is(err, context.Canceled) {
		t.Error("the commit:", err)
	}
}

// TestGather_LeaveSync: a COMMIT that leaves the sync out writes the same and is as visible. Where it begins the log anew, the
// header is synced in front of the first frame all the same.
func TestGather_LeaveSync(t *testing.T) {
	writer, reader, _ := mustGather(t)
	var calls []string
	writer.Watched(sqlite.Watch{
		Write: func(_ int, offset int64) int32 {
			if offset == 0 {
				calls = append(calls, "header")
			} else {
				calls = append(calls, "frames")
			}
			return 0
		},
		Sync:    func() { calls = append(calls, "sync") },
		Barrier: func() {},
	})
	for i, test := range []struct {
		before string
		leave  bool
		want   string
	}{
		{"", false, "frames sync"},
		{"", true, "frames"},
		{"", false, "frames sync"},
		{"PRAGMA wal_checkpoint(RESTART)", true, "header sync frames"},
		{"", true, "frames"},
		{"PRAGMA wal_checkpoint(TRUNCATE)", true, "header sync frames"},
		{"PRAGMA wal_checkpoint(RESTART)", false, "header sync frames sync"},
	} {
		mustExec(t, writer, test.before)
		mustExec(t, writer, fmt.Sprintf("BEGIN; INSERT INTO t VALUES (%d, 'x')", i))
		calls = nil
		writer.LeaveSync(test.leave)
		mustExec(t, writer, "COMMIT")
		writer.LeaveSync(false)
		if got := strings.Join(calls, " "); got != test.want {
			t.Errorf("commit %d: %s, want %s", i, got, test.want)
		}
		if n, _, err := mustPrepare(t, reader, "SELECT count(*) FROM t").Row(t.Context()); err != nil || n[0] != int64(i+1) {
			t.Errorf("commit %d: another connection sees %v, %v", i, n, err)
		}
	}
	calls = nil
	writer.LeaveSync(true)
	mustExec(t, writer, "INSERT INTO t VALUES (100, 'x')")
	writer.LeaveSync(false)
	mustExec(t, writer, "PRAGMA wal_checkpoint(PASSIVE)")
	if got := strings.Join(calls, " "); got != "frames sync" {
		t.Errorf("a checkpoint syncs what a commit has left: %s", got)
	}
}
