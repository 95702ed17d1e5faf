package sqlite

import (
	"runtime"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// This file is a thin file system (VFS) over SQLite's own. SQLite writes each frame of the write-ahead log with two calls,
// 24 bytes and a page. Here they are gathered in memory and written in pieces of up to 124 KiB: when SQLite syncs the log,
// before it publishes a commit, and before it reads, sizes or cuts the log. It also sees the log's index, see index.go, and makes
// the name of a rollback journal durable, see journal.go.
//
// It relies on this of SQLite, as of gatherVersion; TestGather_Assumptions looks:
//
//   - At synchronous=FULL a commit syncs the log behind its last frame and before it becomes visible (sqlite3WalFrames). So
//     a write that fails is the error of that sync, and of the COMMIT that caused it, also where LeaveSync has it write alone.
//   - That sync is the only one of a COMMIT, but for one behind the header of a log that begins anew, in front of its frames.
//   - Whatever makes a commit visible passes xShmBarrier behind the last frame (walIndexWriteHdr). Should anything be left
//     by then it is written there, but that cannot fail aloud: so nothing is gathered below synchronous=FULL.
//   - A connection that reads the log reads it by xRead: it is never mapped into memory.
//   - One write is less than 128 KiB: os_unix.c masks its length with 0x1ffff.
//   - The name of a log leads to the name that its database was opened by (sqlite3_filename_database), the same pointer.

// gatherVersion is the version of SQLite that was looked at.
const gatherVersion = 3054001

// CanGather reports whether the log's writes can be gathered with this SQLite on this system.
func CanGather() bool { return runtime.GOOS == "linux" && lib.SQLITE_VERSION_NUMBER == gatherVersion }

// pieceBytes is how much is gathered at most. A frame has up to 64 KiB and 24 bytes.
const pieceBytes = 124 << 10

// gathering is what belongs to the connection that one database file and its log were opened by.
type gathering struct {
	db, log uintptr // their methods in SQLite's own file system
	file    uintptr // the log; 0 while it is not open
	buffer  uintptr // 0 when nothing is gathered
	start   int64   // where in the log the buffer belongs
	n       int
	failed  int32 // the result code of a write at a barrier, which cannot fail aloud: all that follow do
	unsync  bool  // see Conn.LeaveSync
	begun   bool  // the log's header has been written, and not been synced since

	index     uintptr     // where the log's index begins in memory; 0 while it is not open
	published IndexHeader // what this connection has published last
}

// gatherer is the file system, registered once.
var gatherer struct {
	once    sync.Once
	name    uintptr // C strings: of the file system, and of the parameter that has it gather
	gather  uintptr
	open    uintptr // xOpen of SQLite's own
	slot    uintptr // where in a file object its *gathering is
	mu      sync.Mutex
	byName  map[uintptr]*gathering // by the pointer to the name of the database; it also keeps them from the collector
	methods map[[2]uintptr]uintptr // ours, by SQLite's own and the kind of file
}

func registerGatherer() {
	g := &gatherer
	tls := libc.NewTLS()
	defer tls.Close()
	lib.Xsqlite3_initialize(tls)
	own := at[lib.Tsqlite3_vfs](lib.Xsqlite3_vfs_find(tls, 0))
	g.byName, g.methods = map[uintptr]*gathering{}, map[[2]uintptr]uintptr{}
	g.name, _ = libc.CString("stated")
	g.gather, _ = libc.CString("gather")
	g.open = own.FxOpen
	g.slot = (uintptr(own.FszOsFile) + 7) &^ 7
	ours := libc.Xcalloc(tls, 1, uint64(unsafe.Sizeof(*own)))
	v := at[lib.Tsqlite3_vfs](ours)
	*v = *own
	v.FpNext = 0
	v.FzName = g.name
	v.FszOsFile = int32(g.slot + unsafe.Sizeof(uintptr(0))) //nolint:gosec // some hundred bytes
	v.FxOpen = pointerTo(gatherOpen)
	lib.Xsqlite3_vfs_register(tls, ours, 0)
}

// pointerTo gives a function as the translated library calls it: a Go function is a pointer to a pointer to its code.
func pointerTo[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function is the reverse of pointerTo.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

type (
	onFile   = func(*libc.TLS, uintptr) int32
	onBytes  = func(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32
	onFlags  = func(*libc.TLS, uintptr, int32) int32
	onSize   = func(*libc.TLS, uintptr, int64) int32
	onResult = func(*libc.TLS, uintptr, uintptr) int32
	onNone   = func(*libc.TLS, uintptr)
)

func methodsOf(file uintptr) *uintptr { return &at[lib.Tsqlite3_file](file).FpMethods }

func (g *gathering) own(methods uintptr) *lib.Tsqlite3_io_methods {
	return at[lib.Tsqlite3_io_methods](methods)
}

func gatheringOf(file uintptr) *gathering { return *at[*gathering](file + gatherer.slot) }

func gatherOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	open := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](gatherer.open)
	if rc := open(tls, vfs, name, file, flags, out); rc != lib.SQLITE_OK {
		return rc
	}
	if flags&lib.SQLITE_OPEN_MAIN_JOURNAL != 0 && flags&lib.SQLITE_OPEN_CREATE != 0 {
		return nameJournal(tls, name, file)
	}
	v := &gatherer
	v.mu.Lock()
	defer v.mu.Unlock()
	methods := methodsOf(file)
	switch {
	case flags&lib.SQLITE_OPEN_MAIN_DB != 0:
		g := &gathering{db: *methods}
		if lib.Xsqlite3_uri_boolean(tls, name, v.gather, 0) != 0 {
			g.buffer = libc.Xmalloc(tls, pieceBytes)
		}
		v.byName[name] = g
		*at[*gathering](file + v.slot) = g
		*methods = ours(tls, *methods, flags, func(m *lib.Tsqlite3_io_methods) {
			m.FxClose, m.FxShmBarrier = pointerTo(gatherCloseDB), pointerTo(gatherBarrier)
			m.FxShmMap, m.FxShmUnmap = pointerTo(gatherMap), pointerTo(gatherUnmap)
		})
	case flags&lib.SQLITE_OPEN_WAL != 0:
		g := v.byName[lib.Xsqlite3_filename_database(tls, name)]
		if g == nil || g.buffer == 0 {
			return lib.SQLITE_OK
		}
		g.log, g.file, g.n, g.failed, g.begun = *methods, file, 0, 0, false
		*at[*gathering](file + v.slot) = g
		*methods = ours(tls, *methods, flags, func(m *lib.Tsqlite3_io_methods) {
			m.FxWrite, m.FxSync, m.FxRead = pointerTo(gatherWrite), pointerTo(gatherSync), pointerTo(gatherRead)
			m.FxTruncate, m.FxFileSize, m.FxClose = pointerTo(gatherTruncate), pointerTo(gatherSize), pointerTo(gatherCloseLog)
		})
	}
	return lib.SQLITE_OK
}

// ours gives a changed copy of methods, made once for each kind of file.
func ours(tls *libc.TLS, own uintptr, flags int32, change func(*lib.Tsqlite3_io_methods)) uintptr {
	key := [2]uintptr{own, uintptr(flags & (lib.SQLITE_OPEN_MAIN_DB | lib.SQLITE_OPEN_WAL))}
	p, ok := gatherer.methods[key]
	if !ok {
		p = libc.Xmalloc(tls, uint64(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
		m := at[lib.Tsqlite3_io_methods](p)
		*m = *at[lib.Tsqlite3_io_methods](own)
		change(m)
		gatherer.methods[key] = p
	}
	return p
}

// LeaveSync says whether the log is written but not synced in what follows, which must be one COMMIT: whoever asks for that
// syncs the log himself, before he relies on it. The header of a log that begins anew is synced all the same, so that the
// frames of the old one are never found behind it. It has no effect on a connection that does not gather.
func (c *Conn) LeaveSync(leave bool) {
	if g := c.gathering(); g != nil {
		g.unsync = leave
	}
}

// flush writes what was gathered.
func (g *gathering) flush(tls *libc.TLS) int32 {
	if g.n == 0 || g.failed != 0 {
		return g.failed
	}
	write := function[onBytes](g.own(g.log).FxWrite)
	n := int32(g.n) //nolint:gosec // at most pieceBytes
	g.n = 0         // who asked is told if it fails, and rolls back
	return write(tls, g.file, g.buffer, n, g.start)
}

func gatherWrite(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
	g := gatheringOf(file)
	if offset != g.start+int64(g.n) || g.n+int(n) > pieceBytes {
		if rc := g.flush(tls); rc != lib.SQLITE_OK {
			return rc
		}
		g.start = offset
	}
	if g.failed != 0 {
		return g.failed
	}
	g.begun = g.begun || offset == 0
	copy(unsafe.Slice(at[byte](g.buffer), pieceBytes)[g.n:], unsafe.Slice(at[byte](buffer), n))
	g.n += int(n)
	return lib.SQLITE_OK
}

func gatherRead(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
	g := gatheringOf(file)
	if rc := g.flush(tls); rc != lib.SQLITE_OK {
		return rc
	}
	return function[onBytes](g.own(g.log).FxRead)(tls, file, buffer, n, offset)
}

func gatherSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	g := gatheringOf(file)
	if rc := g.flush(tls); rc != lib.SQLITE_OK || g.unsync && !g.begun {
		return rc
	}
	rc := function[onFlags](g.own(g.log).FxSync)(tls, file, flags)
	g.begun = g.begun && rc != lib.SQLITE_OK
	return rc
}

func gatherTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	g := gatheringOf(file)
	if rc := g.flush(tls); rc != lib.SQLITE_OK {
		return rc
	}
	return function[onSize](g.own(g.log).FxTruncate)(tls, file, size)
}

func gatherSize(tls *libc.TLS, file, size uintptr) int32 {
	g := gatheringOf(file)
	if rc := g.flush(tls); rc != lib.SQLITE_OK {
		return rc
	}
	return function[onResult](g.own(g.log).FxFileSize)(tls, file, size)
}

// gatherCloseLog drops what was not written: no commit needs it.
func gatherCloseLog(tls *libc.TLS, file uintptr) int32 {
	g := gatheringOf(file)
	g.n, g.file = 0, 0
	return function[onFile](g.own(g.log).FxClose)(tls, file)
}

func gatherBarrier(tls *libc.TLS, file uintptr) {
	g := gatheringOf(file)
	if g.file != 0 {
		g.failed = g.flush(tls)
	}
	g.publish()
	function[onNone](g.own(g.db).FxShmBarrier)(tls, file)
}

func gatherCloseDB(tls *libc.TLS, file uintptr) int32 {
	g := gatheringOf(file)
	gatherer.mu.Lock()
	for name, is := range gatherer.byName {
		if is == g {
			delete(gatherer.byName, name)
		}
	}
	gatherer.mu.Unlock()
	libc.Xfree(tls, g.buffer)
	return function[onFile](g.own(g.db).FxClose)(tls, file)
}
