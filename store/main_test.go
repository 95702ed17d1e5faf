package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("STATED_TEST_OPEN"); path != "" {
		os.Exit(childMain(path))
	}
	if path := os.Getenv("STATED_TEST_READ"); path != "" {
		os.Exit(childReads(path))
	}
	if path := os.Getenv("STATED_TEST_MIGRATE"); path != "" {
		os.Exit(childMigrates(path, must(strconv.Atoi(os.Getenv("STATED_TEST_KILL")))))
	}
	// As in a program, before the first file is opened; here an outsider may be quicker than the first store.
	if _, err := sqlite.OFDLocking(true); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// The statements of the Python project, word for word.
const (
	pyCreate = `CREATE TABLE agent_state (
    agent_id TEXT PRIMARY KEY,
    state_json TEXT NOT NULL,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
)`
	pySave   = `INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)`
	pyLoad   = `SELECT state_json FROM agent_state WHERE agent_id = ?`
	pyList   = `SELECT agent_id FROM agent_state ORDER BY agent_id`
	pyDelete = `DELETE FROM agent_state WHERE agent_id = ?`
	pyClear  = `DELETE FROM agent_state`
)

func tempDB(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "agents.db")
}

// impatient options meet a lock at once, retry without waiting, and do not wait for the disk: what a power cut would
// leave is not the business of these tests.
func impatient() store.Options {
	return store.Options{Readers: 2, LockTimeout: -1, Durability: store.DurabilityOff, Retry: store.Retry{
		Max: 5, Base: 100 * time.Millisecond, MaxDelay: 5 * time.Second,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}}
}

// mustOpen opens the store, closes it at the end of the test, and checks the file then.
func mustOpen(tb testing.TB, path string, o store.Options) *store.Store {
	tb.Helper()
	tb.Cleanup(func() { mustBeSound(tb, path) })
	return mustOpenUnchecked(tb, path, o)
}

// mustOpenUnchecked is mustOpen for a file that is damaged on purpose.
func mustOpenUnchecked(tb testing.TB, path string, o store.Options) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), path, o)
	if err != nil {
		tb.Fatalf("open %s: %v", path, err)
	}
	tb.Cleanup(func() { mustClose(tb, s) })
	return s
}

func mustClose(tb testing.TB, s *store.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Errorf("close: %v", err)
	}
}

// mustRecover waits until a store that has refused changes goes on by itself.
func mustRecover(tb testing.TB, s *store.Store) {
	tb.Helper()
	eventually(tb, "the store is ok", func() bool { return s.Info().Health.State == store.StateOK })
}

// eventually repeats a question until the answer is yes.
func eventually(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	for guard := time.Now().Add(time.Minute); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(guard) {
			tb.Fatalf("in vain: %s", what)
		}
	}
}

func mustBeSound(tb testing.TB, path string) {
	tb.Helper()
	if report := mustCheck(tb, path); len(report.Problems) > 0 {
		tb.Errorf("the file is damaged: %q", report.Problems)
	}
}

func mustCheck(tb testing.TB, path string) *store.Report {
	tb.Helper()
	report, err := store.Check(context.Background(), path, store.Options{Readers: 1}, true)
	if err != nil {
		tb.Fatalf("check: %v", err)
	}
	return report
}

// mustOutsider is another program: one connection of its own through database/sql, that waits for no lock.
func mustOutsider(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(0)"}).String())
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func mustExec(tb testing.TB, db *sql.DB, statement string, args ...any) {
	tb.Helper()
	if _, err := db.ExecContext(tb.Context(), statement, args...); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// mustQuery gives the first column of the first row.
func mustQuery[T any](tb testing.TB, db *sql.DB, query string, args ...any) T {
	tb.Helper()
	var v T
	if err := db.QueryRowContext(tb.Context(), query, args...).Scan(&v); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return v
}

// mustMake makes a database file with an outsider's statements alone.
func mustMake(tb testing.TB, path string, statements ...string) {
	tb.Helper()
	db := mustOutsider(tb, path)
	for _, s := range statements {
		mustExec(tb, db, s)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

func mustHash(tb testing.TB, path string) [sha256.Size]byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return sha256.Sum256(b)
}

// batch is a protocol.Batch of fixed operations that notes what the store does with it.
type batch struct {
	ops                   []*protocol.Op
	asked, taken, release int
	onTake                func(take int)
}

func batchOf(ops ...protocol.Op) *batch {
	b := &batch{}
	for i := range ops {
		b.ops = append(b.ops, &ops[i])
	}
	return b
}

func (b *batch) Asking(attempt int) { b.asked = attempt }

func (b *batch) Take() []*protocol.Op {
	b.taken++
	if b.onTake != nil {
		b.onTake(b.taken)
	}
	return slices.Clone(b.ops)
}

func (b *batch) Release() { b.release++ }

// mustApply applies the operations in one batch.
func mustApply(tb testing.TB, s *store.Store, ops ...protocol.Op) []protocol.Reply {
	tb.Helper()
	replies, err := s.Apply(tb.Context(), batchOf(ops...))
	if err != nil {
		tb.Fatalf("apply: %v", err)
	}
	if len(replies) != len(ops) {
		tb.Fatalf("%d replies for %d operations", len(replies), len(ops))
	}
	for _, r := range replies {
		mustBeTyped(tb, r.Err)
	}
	return replies
}

// mustBeTyped holds the promise that a reply's error is always an Error of the vocabulary itself.
func mustBeTyped(tb testing.TB, err error) {
	tb.Helper()
	if _, ok := err.(*protocol.Error); err != nil && !ok { //nolint:errorlint // this is about the type itself
		tb.Errorf("a reply's error is a %T: %v", err, err)
	}
}

// apply1 applies one operation as a batch of its own.
func apply1(tb testing.TB, s *store.Store, op protocol.Op) (protocol.Reply, error) {
	tb.Helper()
	r := mustApply(tb, s, op)[0]
	return r, r.Err
}

func read(tb testing.TB, s *store.Store, op protocol.Op) (protocol.Reply, error) {
	tb.Helper()
	return s.Read(tb.Context(), &op)
}

func load(tb testing.TB, s *store.Store, id string) (protocol.Reply, error) {
	tb.Helper()
	return read(tb, s, must(protocol.Load(id)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func save(id, state string, cond ...protocol.Condition) protocol.Op {
	return must(protocol.Save(id, []byte(state), one(cond)))
}

func del(id string, cond ...protocol.Condition) protocol.Op {
	return must(protocol.Delete(id, one(cond)))
}

func one(cond []protocol.Condition) protocol.Condition {
	if len(cond) == 0 {
		return protocol.Condition{}
	}
	return cond[0]
}

func txn(ops ...protocol.Op) protocol.Op { return must(protocol.Txn(ops...)) }

func wantCode(tb testing.TB, err error, want protocol.Code) {
	tb.Helper()
	if got := protocol.CodeOf(err); got != want {
		tb.Errorf("got %q (%v), want %q", got, err, want)
	}
}
