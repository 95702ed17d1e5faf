package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

func TestResultCodes(t *testing.T) {
	const (
		full    = protocol.CodeFull
		unknown = protocol.CodeUnknown
	)
	// What a code means for an operation that was not applied, and what it means when COMMIT gives it.
	for code, want := range map[int]struct {
		locked, callers  bool
		before, onCommit protocol.Code
	}{
		5:    {true, false, protocol.CodeLocked, unknown}, // BUSY; a locked COMMIT is rolled back and repeated
		261:  {true, false, protocol.CodeLocked, unknown}, // BUSY_RECOVERY
		517:  {true, false, protocol.CodeLocked, unknown}, // BUSY_SNAPSHOT
		773:  {true, false, protocol.CodeLocked, unknown}, // BUSY_TIMEOUT
		6:    {true, false, protocol.CodeLocked, unknown}, // LOCKED
		262:  {true, false, protocol.CodeLocked, unknown}, // LOCKED_SHAREDCACHE
		15:   {true, false, protocol.CodeLocked, unknown}, // PROTOCOL
		3850: {true, false, protocol.CodeLocked, unknown}, // IOERR_LOCK
		5130: {true, false, protocol.CodeLocked, unknown}, // IOERR_SHMLOCK
		2314: {true, false, protocol.CodeLocked, unknown}, // IOERR_RDLOCK
		2826: {true, false, protocol.CodeLocked, unknown}, // IOERR_BLOCKED

		13:        {false, false, full, full},                     // FULL
		10:        {false, false, protocol.CodeIO, unknown},       // IOERR
		778:       {false, false, protocol.CodeIO, unknown},       // IOERR_WRITE
		1034:      {false, false, protocol.CodeIO, unknown},       // IOERR_FSYNC
		1290:      {false, false, protocol.CodeIO, unknown},       // IOERR_DIR_FSYNC
		4874:      {false, false, protocol.CodeIO, unknown},       // IOERR_SHMSIZE
		8714:      {false, false, protocol.CodeIO, unknown},       // IOERR_IN_PAGE
		14:        {false, false, protocol.CodeIO, unknown},       // CANTOPEN
		7:         {false, false, protocol.CodeIO, unknown},       // NOMEM
		11:        {false, false, protocol.CodeCorrupt, unknown},  // CORRUPT
		267:       {false, false, protocol.CodeCorrupt, unknown},  // CORRUPT_VTAB
		26:        {false, false, protocol.CodeCorrupt, unknown},  // NOTADB
		8:         {false, false, protocol.CodeReadOnly, unknown}, // READONLY
		1032:      {false, false, protocol.CodeReadOnly, unknown}, // READONLY_DBMOVED
		3:         {false, false, protocol.CodeReadOnly, unknown}, // PERM
		19:        {false, true, protocol.CodeInvalid, unknown},   // CONSTRAINT
		275:       {false, true, protocol.CodeInvalid, unknown},   // CONSTRAINT_CHECK
		1811:      {false, true, protocol.CodeInvalid, unknown},   // CONSTRAINT_TRIGGER
		2067:      {false, true, protocol.CodeInvalid, unknown},   // CONSTRAINT_UNIQUE
		18:        {false, true, protocol.CodeInvalid, unknown},   // TOOBIG
		20:        {false, true, protocol.CodeInvalid, unknown},   // MISMATCH
		9:         {false, false, protocol.CodeCanceled, unknown}, // INTERRUPT
		516:       {false, false, protocol.CodeCanceled, unknown}, // ABORT_ROLLBACK
		1:         {false, false, protocol.CodeInternal, unknown}, // ERROR
		2:         {false, false, protocol.CodeInternal, unknown}, // INTERNAL
		21:        {false, false, protocol.CodeInternal, unknown}, // MISUSE
		17:        {false, false, protocol.CodeInternal, unknown}, // SCHEMA
		9 | 99<<8: {false, false, protocol.CodeCanceled, unknown}, // an extension yet unknown keeps its class
		25:        {false, false, protocol.CodeInternal, unknown}, // RANGE
		12:        {false, false, protocol.CodeInternal, unknown}, // NOTFOUND
		1555:      {false, true, protocol.CodeInvalid, unknown},   // CONSTRAINT_PRIMARYKEY
		523:       {false, false, protocol.CodeCorrupt, unknown},  // CORRUPT_SEQUENCE
		522:       {false, false, protocol.CodeIO, unknown},       // IOERR_SHORT_READ
	} {
		// The text is that of another code on purpose, and wrapping must not hide the code.
		err := fmt.Errorf("wrapped: %w", store.DriverError(code, "database is locked"))
		if store.ResultCode(err) != code || store.IsLocked(err) != want.locked || store.IsCallers(err) != want.callers {
			t.Errorf("%d: locked %v, the caller's %v; want %v", code, store.IsLocked(err), store.IsCallers(err), want)
		}
		got := store.Translate(err)
		mustBeTyped(t, got)
		wantCode(t, got, want.before)
		if !errors.Is(got, err) {
			t.Errorf("%d: the cause is lost in %v", code, got)
		}
		wantCode(t, store.AfterCommit(err), want.onCommit)
	}
	if !store.IsNotDatabase(store.DriverError(26, "")) || store.IsNotDatabase(store.DriverError(11, "")) {
		t.Error("NOTADB is not told from CORRUPT")
	}
}

func TestTranslate_OtherErrors(t *testing.T) {
	if err := store.Translate(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	lookalike := errors.New("database is locked (5) (SQLITE_BUSY)")
	if store.IsLocked(lookalike) || store.ResultCode(lookalike) != 0 {
		t.Error("a text is taken for a lock")
	}
	wantCode(t, store.Translate(lookalike), protocol.CodeInternal)

	deadline := store.Translate(fmt.Errorf("reading: %w", context.DeadlineExceeded))
	if !errors.Is(deadline, protocol.CodeCanceled) || !errors.Is(deadline, context.DeadlineExceeded) {
		t.Errorf("a deadline became %v", deadline)
	}
	known := protocol.Errorf(protocol.CodeUnavailable, "moved")
	got := store.Translate(fmt.Errorf("open anew: %w", known))
	mustBeTyped(t, got)
	wantCode(t, got, protocol.CodeUnavailable)
}

// TestMessages_GiveNothingAway: what the driver says stays inside.
func TestMessages_GiveNothingAway(t *testing.T) {
	for _, code := range []int{1, 5, 8, 10, 11, 13, 14, 19} {
		secret := "SELECT secret FROM somewhere"
		for _, err := range []error{
			store.Translate(store.DriverError(code, secret)), store.AfterCommit(store.DriverError(code, secret)),
		} {
			if e := protocol.AsError(err); e.Message == "" || len(e.Message) > 200 || e.Error() == secret {
				t.Errorf("%d: %v", code, err)
			}
			if msg := err.Error(); strings.Contains(msg, secret) {
				t.Errorf("%d gives away %q", code, msg)
			}
		}
	}
}

// TestSQLiteVersion: before 3.51.3, two processes that checkpoint at the same moment could damage the file
// (https://www.sqlite.org/wal.html#walresetbug).
func TestSQLiteVersion(t *testing.T) {
	var major, minor, patch int
	if _, err := fmt.Sscanf(store.SQLiteVersion, "%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatal(err)
	}
	if major*1_000_000+minor*1_000+patch < 3_051_003 {
		t.Errorf("SQLite %s is linked in, want 3.51.3 or later", store.SQLiteVersion)
	}
}
