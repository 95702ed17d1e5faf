package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "modernc.org/sqlite/lib"

	"github.com/stated/stated/store/sqlite"
)

// mustOpen opens a new database, in a file whose name has all that is special in a URI.
func mustOpen(tb testing.TB) *sqlite.Conn {
	tb.Helper()
	return mustConnect(tb, filepath.Join(tb.TempDir(), "a ?#%20.db"), false)
}

func mustConnect(tb testing.TB, path string, readOnly bool) *sqlite.Conn {
	tb.Helper()
	if !readOnly {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			tb.Fatal(err)
		}
		f.Close()
	}
	c, err := sqlite.Open(path, readOnly, false)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func mustExec(tb testing.TB, c *sqlite.Conn, sql string) {
	tb.Helper()
	if err := c.Exec(tb.Context(), sql); err != nil {
		tb.Fatal(err)
	}
}

func mustPrepare(tb testing.TB, c *sqlite.Conn, sql string) *sqlite.Stmt {
	tb.Helper()
	s, err := c.Prepare(sql)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestStmt_Values(t *testing.T) {
	c := mustOpen(t)
	mustExec(t, c, "CREATE TABLE t (a, b, c, d, e, f); -- and a comment\n")
	long := strings.Repeat("long ", 20_000)
	insert := mustPrepare(t, c, "INSERT INTO t VALUES (?1, ?2, ?3, 1.5, x'0001', x'')")
	for _, args := range [][]any{{nil, int64(-1 << 63), "a\x00é"}, {"", int64(0), long}, {long, nil, ""}} {
		if n, err := insert.Exec(t.Context(), args...); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
	var got [][]any
	err := mustPrepare(t, c, "SELECT * FROM t").Each(t.Context(), func(row []any) (bool, error) {
		got = append(got, append([]any(nil), row...))
		return true, nil
	})
	want := [][]any{
		{nil, int64(-1 << 63), "a\x00é", 1.5, []byte{0, 1}, []byte(nil)},
		{"", int64(0), long, 1.5, []byte{0, 1}, []byte(nil)},
		{long, nil, "", 1.5, []byte{0, 1}, []byte(nil)},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := insert.Exec(t.Context(), true); err == nil {
		t.Error("an argument of another type is accepted")
	}
	if err := insert.Text(4, "x"); code(err) != lib.SQLITE_RANGE {
		t.Error("a parameter that is not there:", err)
	}
}

// TestStmt_Quick binds, steps and reads without an allocation.
func TestStmt_Quick(t *testing.T) {
	c := mustOpen(t)
	mustExec(t, c, "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, s TEXT); INSERT INTO t VALUES ('a', 7, 'state'), ('b', NULL, NULL)")
	s := mustPrepare(t, c, "SELECT n, s FROM t WHERE id = ?")
	read := func(id string) (n int64, isInt, null bool, text string) {
		defer s.Reset()
		if err := s.Text(1, id); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Step(context.Background()); err != nil || !ok {
			t.Fatal(ok, err)
		}
		n, isInt = s.ColumnInt(0)
		return n, isInt, s.IsNull(0), string(s.ColumnBytes(1))
	}
	if n, isInt, null, text := read("a"); n != 7 || !isInt || null || text != "state" {
		t.Error(n, isInt, null, text)
	}
	if n, isInt, null, text := read("b"); n != 0 || isInt || !null || text != "" {
		t.Error(n, isInt, null, text)
	}
	if err := s.Text(1, "c"); err == nil {
		if ok, err := s.Step(context.Background()); ok || err != nil {
			t.Error("a row that is not there:", ok, err)
		}
		s.Reset()
	}
	allocs := testing.AllocsPerRun(100, func() {
		if s.Text(1, "a") != nil {
			t.Error("Text")
		}
		if ok, err := s.Step(context.Background()); !ok || err != nil {
			t.Error("Step")
		}
		_ = s.ColumnBytes(1)
		s.Reset()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestConn_Triggers(t *testing.T) {
	c := mustOpen(t)
	mustExec(t, c, "CREATE TABLE t (x); CREATE TABLE log (x); CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.x); END")
	insert := mustPrepare(t, c, "INSERT INTO t VALUES (1)")
	for _, on := range []bool{true, false, true, false} { // a statement that is prepared follows
		if err := c.SetTriggers(on); err != nil {
			t.Fatal(err)
		}
		if _, err := insert.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if row, _, err := mustPrepare(t, c, "SELECT count(*) FROM log").Row(t.Context()); err != nil || row[0] != int64(2) {
		t.Error("of 4 inserts, 2 fire the trigger:", row, err)
	}
}

func TestConn_Errors(t *testing.T) {
	c := mustOpen(t)
	mustExec(t, c, "CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)")
	err := c.Exec(t.Context(), "INSERT INTO t VALUES (1)")
	if code(err) != lib.SQLITE_CONSTRAINT_UNIQUE || !strings.Contains(err.Error(), "t.x") {
		t.Errorf("a constraint: %v", err)
	}
	for _, sql := range []string{"SELEC 1", `SELECT "no such column"`, ""} {
		if _, err := c.Prepare(sql); code(err) != lib.SQLITE_ERROR {
			t.Errorf("%q: %v", sql, err)
		}
	}
	if err := c.Exec(t.Context(), "PRAGMA writable_schema=1; UPDATE sqlite_master SET sql = ''"); err == nil {
		t.Error("the schema can be damaged")
	}
	if _, err := sqlite.Open(filepath.Join(t.TempDir(), "none.db"), false, false); err != nil {
		if code(err) != lib.SQLITE_CANTOPEN {
			t.Error(err)
		}
	} else {
		t.Error("a file that is not there is opened")
	}
}

func TestConn_ReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	mustExec(t, mustConnect(t, path, false), "CREATE TABLE t (x)")
	c := mustConnect(t, path, true)
	if err := c.Exec(t.Context(), "INSERT INTO t VALUES (1)"); code(err) != lib.SQLITE_READONLY || !c.ReadOnly() {
		t.Error(err, c.ReadOnly())
	}
}

// TestExec_Canceled interrupts a statement that would run for very long, and uses the connection again.
func TestExec_Canceled(t *testing.T) {
	c := mustOpen(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := mustPrepare(t, c, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
	err := s.Each(ctx, func(row []any) (bool, error) {
		cancel()
		return true, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.Exec(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Error("with a context that has ended:", err)
	}
	mustExec(t, c, "CREATE TABLE t (x)")
}

func TestLockTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	holder, c := mustConnect(t, path, false), mustConnect(t, path, false)
	mustExec(t, holder, "PRAGMA journal_mode=WAL; CREATE TABLE t (x); BEGIN IMMEDIATE")
	if err := c.Exec(t.Context(), "BEGIN IMMEDIATE"); code(err) != lib.SQLITE_BUSY {
		t.Error("without a timeout:", err)
	}
	c.SetLockTimeout(5 * time.Millisecond)
	if err := c.Exec(t.Context(), "BEGIN IMMEDIATE"); code(err) != lib.SQLITE_BUSY {
		t.Error("after a timeout:", err)
	}
	c.SetLockTimeout(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := c.Exec(ctx, "BEGIN IMMEDIATE"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("when its context ends:", err)
	}
	got := make(chan error)
	go func() { got <- c.Exec(t.Context(), "BEGIN IMMEDIATE") }()
	mustExec(t, holder, "COMMIT")
	if err := <-got; err != nil {
		t.Error("when the lock is free:", err)
	}
}
