package store

import (
	"context"
	"errors"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
)

// This file alone knows SQLite's result codes (https://www.sqlite.org/rescode.html). Errors are classified by
// code, never by text: "database is locked" stands for several codes that need different treatment.

// resultCode gives the extended result code of an error of SQLite, 0 for any other error.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// errDamagedIndex is what SQLite says of an index that does not fit its table.
var errDamagedIndex = &sqlite.Error{Code: sqlite3.SQLITE_CORRUPT_INDEX, Message: "the index over the ids is damaged"}

// isLocked reports whether err means that another connection holds a lock, so that the whole transaction may be
// tried again: BUSY with its variants, PROTOCOL (SQLite lost the race for a WAL lock a hundred times), LOCKED (own
// connections in a shared cache, which stated never uses) and the failures of the locking calls themselves.
func isLocked(err error) bool {
	code := resultCode(err)
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_LOCKED:
		return true
	}
	switch code {
	case sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_BLOCKED:
		return true
	}
	return false
}

// isCallers reports whether err concerns one statement alone: a constraint that an outsider put on the table, a
// value that is too large. SQLite has undone that statement and kept the transaction.
func isCallers(err error) bool {
	switch resultCode(err) & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}

// isNoTransaction reports whether err is ROLLBACK's complaint that there is nothing to roll back: SQLite has
// already done it, as it does after some errors.
func isNoTransaction(err error) bool { return resultCode(err) == sqlite3.SQLITE_ERROR }

// isWrongSQL reports whether SQLite does not understand a statement: it names what is not there.
func isWrongSQL(err error) bool { return resultCode(err) == sqlite3.SQLITE_ERROR }

// errEnded says that a trigger of somebody else has ended the transaction of a batch, by RAISE(ROLLBACK): nothing of
// it was applied, and nothing more may be done as if it were still there.
var errEnded = errors.New("a trigger has rolled the transaction back")

// isLeftover reports whether a crashed writer has left a journal or a log that only a connection that may write can
// bring in.
func isLeftover(err error) bool {
	switch resultCode(err) {
	case sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY, sqlite3.SQLITE_READONLY_CANTINIT:
		return true
	}
	return false
}

// isNotDatabase reports whether the file is no SQLite database at all.
func isNotDatabase(err error) bool { return resultCode(err)&0xff == sqlite3.SQLITE_NOTADB }

// translate turns an error of SQLite into the vocabulary, for an operation that was not applied. What SQLite
// says stays inside as the cause; the message names the code, so that an operator can look it up.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errEnded) {
		return protocol.Errorf(protocol.CodeInvalid, "a trigger that somebody else put on the table has rolled back the whole transaction").
			Because(err)
	}
	var known *protocol.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return protocol.Errorf(protocol.CodeCanceled, "the caller gave up").Because(err)
	}
	code := resultCode(err)
	if code == 0 {
		return protocol.AsError(err)
	}
	if isLocked(err) {
		return lockedError(1, 0).Because(err)
	}
	class, what := classify(code)
	return protocol.Errorf(class, "%s (SQLite result code %d)", what, code).Because(err)
}

func classify(code int) (protocol.Code, string) {
	if code == sqlite3.SQLITE_IOERR_SHMSIZE {
		return protocol.CodeIO, "the -shm file beside the database cannot grow (is the disk full?)"
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return protocol.CodeFull, "the disk is full"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return protocol.CodeCorrupt, "the database file is damaged: restore a backup"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return protocol.CodeReadOnly, "the database file cannot be written"
	case sqlite3.SQLITE_CANTOPEN:
		return protocol.CodeIO, "the database file cannot be opened"
	case sqlite3.SQLITE_IOERR:
		return protocol.CodeIO, "the disk failed"
	case sqlite3.SQLITE_NOMEM:
		return protocol.CodeIO, "out of memory"
	case sqlite3.SQLITE_CONSTRAINT:
		return protocol.CodeInvalid, "a constraint or trigger that somebody else put on the table refuses it"
	case sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return protocol.CodeInvalid, "the file cannot hold the value"
	case sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_ABORT:
		return protocol.CodeCanceled, "interrupted"
	default:
		return protocol.CodeInternal, "SQLite refuses"
	}
}

// consequenceOfCode says what a result code means for the batches after the one that met it.
func consequenceOfCode(code int) consequence {
	switch code {
	case sqlite3.SQLITE_IOERR_DATA, sqlite3.SQLITE_IOERR_CORRUPTFS:
		return giveUp
	}
	switch code & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return giveUp
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return degrade
	default:
		return carryOn
	}
}

// afterCommit translates an error of COMMIT. A full disk leaves the transaction undone. Of anything else, an
// fsync that failed above all, nobody can tell what a crash would bring back
// (https://www.sqlite.org/atomiccommit.html#sect_9_2): the outcome is unknown.
func afterCommit(err error) error {
	if resultCode(err)&0xff == sqlite3.SQLITE_FULL {
		return translate(err)
	}
	return protocol.Errorf(protocol.CodeUnknown, "the commit failed, the change may or may not be in the file (SQLite result code %d)",
		resultCode(err)).Because(err)
}
