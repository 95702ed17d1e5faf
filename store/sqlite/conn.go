// Package sqlite is a connection to SQLite with its prepared statements, and no more. It calls the library that
// modernc.org/sqlite has translated to Go, and leaves out that module's driver for database/sql: what a driver has to do
// for each statement (find arguments by name, copy and free each of them, describe the columns) took as long as SQLite
// itself does for a small one. Nothing of stated is known here; everything that is unsafe is here alone.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"modernc.org/libc"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Version is the version of SQLite.
const Version = lib.SQLITE_VERSION

// UseOFDLocks asks for locks that belong to an open file description in place of the process. It must be called before the
// first connection of the process is opened, by whomever; else it returns an error, as on systems that have none.
func UseOFDLocks() error {
	_, err := driver.OFDLocking(true)
	return err
}

// OFDLocks reports whether those locks are in use.
func OFDLocks() bool { return driver.OFDLockingEnabled() }

// Conn is one connection. One goroutine uses it at a time.
type Conn struct {
	tls      *libc.TLS // the thread that the library believes to run on
	db       uintptr
	ours     bool    // it is on our file system
	word     uintptr // 16 bytes for what calls give back through a pointer
	main     uintptr // "main" as a C string
	handle   uintptr // what the busy handler is called with
	prepared map[*Stmt]struct{}

	lockTimeout time.Duration
	waiting     context.Context // of the call in progress, for the busy handler
}

// Open opens the database file at path, which must exist, for reading and writing or for reading alone. It touches the
// file no sooner than the first statement does. Double quotes never make a string, and the database is defended against
// statements that damage it (https://www.sqlite.org/c3ref/c_dbconfig_defensive.html).
//
// With gather, which is for a connection that writes at synchronous=FULL, what it writes into the log is written in few
// large pieces; it is ignored where [CanGather] is false.
func Open(path string, readOnly, gather bool) (*Conn, error) {
	c := &Conn{tls: libc.NewTLS(), prepared: map[*Stmt]struct{}{}, waiting: context.Background()}
	c.word = libc.Xmalloc(c.tls, 16)
	query := "mode=rw"
	if readOnly {
		query = "mode=ro"
	}
	if gather {
		query += "&gather=1"
	}
	// The path is escaped, so that a '?', '#' or '%' in it stays part of the file's name.
	uri := (&url.URL{Scheme: "file", Path: path, RawQuery: query}).String()
	vfs := uintptr(0)
	if c.ours = !readOnly && CanGather(); c.ours {
		gatherer.once.Do(registerGatherer)
		vfs = gatherer.name
	}
	err := withCString(c.tls, uri, func(name uintptr) error {
		// One goroutine at a time uses the connection: it needs no mutex.
		const flags = lib.SQLITE_OPEN_READWRITE | lib.SQLITE_OPEN_URI | lib.SQLITE_OPEN_NOMUTEX | lib.SQLITE_OPEN_EXRESCODE
		rc := lib.Xsqlite3_open_v2(c.tls, name, c.word, flags, vfs)
		c.db = *at[uintptr](c.word)
		return c.failed(rc)
	})
	if err == nil {
		c.main, err = libc.CString("main")
	}
	for _, option := range []struct {
		op int32
		on bool
	}{
		{lib.SQLITE_DBCONFIG_DEFENSIVE, true},
		{lib.SQLITE_DBCONFIG_DQS_DDL, false},
		{lib.SQLITE_DBCONFIG_DQS_DML, false},
	} {
		if err == nil {
			err = c.configure(option.op, option.on)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// at gives what is at an address in the library's memory, which Go's collector neither moves nor frees.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// withCString lends s to f with a zero behind it.
func withCString(tls *libc.TLS, s string, f func(uintptr) error) error {
	p, err := libc.CString(s)
	if err != nil {
		return err
	}
	defer libc.Xfree(tls, p)
	return f(p)
}

// Close rolls back an open transaction, if there is one, finalizes all statements, and closes the connection. (While a
// statement is left, SQLite keeps the connection half open, with its files and locks.) A second call does nothing.
func (c *Conn) Close() error {
	if c.tls == nil {
		return nil
	}
	var err error
	if c.db != 0 {
		for s := range c.prepared {
			s.Close()
		}
		c.SetLockTimeout(0)
		err = c.failed(lib.Xsqlite3_close_v2(c.tls, c.db))
		c.db = 0
	}
	libc.Xfree(c.tls, c.main)
	libc.Xfree(c.tls, c.word)
	c.tls.Close()
	c.tls = nil
	return err
}

// configure switches one of the options of sqlite3_db_config that are on or off.
func (c *Conn) configure(op int32, on bool) error {
	value := int32(0)
	if on {
		value = 1
	}
	// The variable arguments: the value, and no place for the previous one.
	if rc := lib.Xsqlite3_db_config(c.tls, c.db, op, libc.VaList(c.word, value, uintptr(0))); rc != lib.SQLITE_OK {
		return fmt.Errorf("sqlite3_db_config %d: %w", op, c.failed(rc))
	}
	return nil
}

// SetTriggers says whether what this connection changes fires triggers, those of the schema included.
func (c *Conn) SetTriggers(on bool) error { return c.configure(lib.SQLITE_DBCONFIG_ENABLE_TRIGGER, on) }

// KeepLog has Close make no checkpoint, also when this is the last connection: whoever opens the file next finds the log.
func (c *Conn) KeepLog() error { return c.configure(lib.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) }

// ReadOnly reports whether the database file can only be read.
func (c *Conn) ReadOnly() bool { return lib.Xsqlite3_db_readonly(c.tls, c.db, c.main) == 1 }

// PagesWritten gives how many pages the connection has written since it was asked last.
func (c *Conn) PagesWritten() int64 {
	rc := lib.Xsqlite3_db_status(c.tls, c.db, lib.SQLITE_DBSTATUS_CACHE_WRITE, c.word, c.word+8, 1)
	if rc != lib.SQLITE_OK {
		return 0 // SQLite has no reason for one
	}
	return int64(*at[int32](c.word))
}

// Exec runs one or more statements once, without arguments, and without a look at the rows that they give. When ctx ends
// it interrupts them, and returns the error of ctx.
func (c *Conn) Exec(ctx context.Context, sql string) error {
	return withCString(c.tls, sql, func(rest uintptr) error {
		for *at[byte](rest) != 0 {
			s, tail, err := c.prepare(rest, 0)
			if err != nil {
				return err
			}
			rest = tail
			if s == nil { // a comment
				continue
			}
			_, err = s.Exec(ctx)
			s.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// watch interrupts the connection when ctx ends, until done is called; done gives the error of ctx in place of that of
// the interruption. What went wrong by itself in that moment, as a sync, stays what it is.
func (c *Conn) watch(ctx context.Context) (done func(error) error) {
	c.waiting = ctx
	if ctx.Done() == nil {
		return func(err error) error { return err }
	}
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		tls := libc.NewTLS() // that of the connection belongs to the goroutine that uses it
		lib.Xsqlite3_interrupt(tls, c.db)
		tls.Close()
	})
	return func(err error) error {
		if !stop() {
			<-finished // the connection may be closed next
		}
		var e *Error
		if ctx.Err() != nil && errors.As(err, &e) {
			switch e.Code & 0xff {
			case lib.SQLITE_INTERRUPT, lib.SQLITE_BUSY, lib.SQLITE_LOCKED: // the latter two would have waited
				return ctx.Err()
			}
		}
		return err
	}
}

// askEvery is how often a connection asks for a lock that another one holds.
const askEvery = time.Millisecond

// waiters are the connections that wait for locks, by the handle that SQLite calls the busy handler with.
var (
	waiters    sync.Map // uintptr -> *Conn
	lastHandle atomic.Uintptr
)

// SetLockTimeout says how long a statement waits for a lock that another connection holds, and until its ctx ends. Without,
// it fails at once.
func (c *Conn) SetLockTimeout(d time.Duration) {
	c.lockTimeout = d
	if d <= 0 {
		waiters.Delete(c.handle)
		lib.Xsqlite3_busy_handler(c.tls, c.db, 0, 0)
		return
	}
	if c.handle == 0 {
		c.handle = lastHandle.Add(1)
	}
	waiters.Store(c.handle, c)
	lib.Xsqlite3_busy_handler(c.tls, c.db, pointerTo(busy), c.handle)
}

// busy is called by SQLite when it has asked for a lock n times in vain: 1 makes it ask again. Where SQLite's own waits up
// to 100 ms between two questions, and so may never find free what others take again at once, this one asks all the time.
func busy(_ *libc.TLS, handle uintptr, n int32) int32 {
	v, ok := waiters.Load(handle)
	if !ok {
		return 0
	}
	c := v.(*Conn)
	if time.Duration(n)*askEvery >= c.lockTimeout {
		return 0
	}
	timer := time.NewTimer(askEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 1
	case <-c.waiting.Done():
		return 0
	}
}

// failed gives the error for a result code, nil for a good one.
func (c *Conn) failed(rc int32) error {
	switch rc {
	case lib.SQLITE_OK, lib.SQLITE_ROW, lib.SQLITE_DONE:
		return nil
	}
	e := &Error{Code: int(rc), Message: libc.GoString(lib.Xsqlite3_errstr(c.tls, rc))}
	// The text of the connection may belong to another call.
	if c.db != 0 && lib.Xsqlite3_extended_errcode(c.tls, c.db)&0xff == rc&0xff {
		if text := libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db)); text != e.Message {
			e.Message += ": " + text
		}
	}
	return e
}

// Error is an error of SQLite.
type Error struct {
	Code    int // the extended result code (https://www.sqlite.org/rescode.html)
	Message string
}

// Error gives the text of the code, with details where SQLite has some, and the code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }
