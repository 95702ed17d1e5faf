package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// What the tests need of the inside of the file system.

// Watch is told of what reaches SQLite's own file system from a connection that gathers, in order. What Write gives is the
// result of a write that is then not made; 0 lets it be made.
type Watch struct {
	Write         func(n int, offset int64) (rc int32)
	Sync, Barrier func()
}

// kept are functions that the library's memory points to, where Go's collector does not look.
var kept []any

// Watched puts w between a connection and SQLite's own file system.
func (c *Conn) Watched(w Watch) {
	g := c.gathering()
	ownLog, ownDB := *g.own(g.log), *g.own(g.db)
	log, db := ownLog, ownDB
	write := func(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
		if rc := w.Write(int(n), offset); rc != 0 {
			return rc
		}
		return function[onBytes](ownLog.FxWrite)(tls, file, buffer, n, offset)
	}
	sync := func(tls *libc.TLS, file uintptr, flags int32) int32 {
		w.Sync()
		return function[onFlags](ownLog.FxSync)(tls, file, flags)
	}
	barrier := func(tls *libc.TLS, file uintptr) {
		w.Barrier()
		function[onNone](ownDB.FxShmBarrier)(tls, file)
	}
	kept = append(kept, write, sync, barrier)
	log.FxWrite, log.FxSync, db.FxShmBarrier = pointerTo(write), pointerTo(sync), pointerTo(barrier)
	g.log, g.db = c.copied(log), c.copied(db)
}

// copied leaves m in the library's memory, for as long as the test runs.
func (c *Conn) copied(m lib.Tsqlite3_io_methods) uintptr {
	p := libc.Xmalloc(c.tls, uint64(unsafe.Sizeof(m)))
	*at[lib.Tsqlite3_io_methods](p) = m
	return p
}
