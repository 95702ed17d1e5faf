package sqlite

import (
	"encoding/binary"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// This file sees the beginning of the log's index, the -shm file, which every process has in its memory
// (https://www.sqlite.org/walformat.html#the_wal_index_header). A header of 48 bytes stands there twice. Every commit of any
// process changes it, writes the second copy, then the first; nobody sees a commit whose first copy is not complete
// (walIndexWriteHdr, walIndexTryHdr). The header has the number of the last frame, the salts and the running checksum over
// all frames: two that are equal mean the same content.

// IndexHeader is such a header. One of a log that has been used is never zero.
type IndexHeader [6]uint64

// Frames gives the number of the last frame of the log that belongs to a commit.
func (h IndexHeader) Frames() int {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], h[2])
	return int(binary.NativeEndian.Uint32(b[:]))
}

const shmMapped = 32 << 10 // SQLite maps the index in pieces of so many bytes

func gatherMap(tls *libc.TLS, file uintptr, piece, size, extend int32, out uintptr) int32 {
	g := gatheringOf(file)
	rc := function[func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32](g.own(g.db).FxShmMap)(tls, file, piece, size, extend, out)
	if rc == lib.SQLITE_OK && piece == 0 && size == shmMapped {
		g.index = *at[uintptr](out)
	}
	return rc
}

func gatherUnmap(tls *libc.TLS, file uintptr, remove int32) int32 {
	g := gatheringOf(file)
	g.index = 0
	return function[onFlags](g.own(g.db).FxShmUnmap)(tls, file, remove)
}

// publish notes the header that the connection is publishing at this barrier: the second copy is written, the first not yet.
func (g *gathering) publish() {
	if g.index == 0 {
		return
	}
	if second := *at[IndexHeader](g.index + unsafe.Sizeof(IndexHeader{})); second != *at[IndexHeader](g.index) {
		g.published = second
	}
}

// gathering finds what the file system keeps for the connection; nil when it is not on ours.
func (c *Conn) gathering() *gathering {
	if !c.ours || lib.Xsqlite3_file_control(c.tls, c.db, c.main, lib.SQLITE_FCNTL_FILE_POINTER, c.word) != lib.SQLITE_OK {
		return nil
	}
	return gatheringOf(*at[uintptr](c.word))
}

// Published gives the header that the last commit of this connection has left.
func (c *Conn) Published() IndexHeader { return c.gathering().published }

// Index is the index of a log, as the connection that it came from has it in memory. It must not be used any more when that
// connection is closed. It may be used by any number of goroutines.
type Index struct {
	header *[6]atomic.Uint64
	copied *atomic.Uint32
}

// Index gives the index of the log that the connection has read from; nil where it cannot be seen.
func (c *Conn) Index() *Index {
	g := c.gathering()
	if g == nil || g.index == 0 {
		return nil
	}
	return &Index{at[[6]atomic.Uint64](g.index), at[atomic.Uint32](g.index + 2*unsafe.Sizeof(IndexHeader{}))}
}

// Copied gives how many frames of the log are in the database (nBackfill). Somebody must hold a lock that keeps the file from
// being cut.
func (i *Index) Copied() int { return int(i.copied.Load()) }

// ForgetCopied has the next checkpoint copy all frames of the log into the database again. The connection of the index must be in
// a write transaction: nobody may begin the log anew meanwhile. Readers that read from the database alone are not disturbed,
// since a checkpoint waits for them (sqlite3WalCheckpoint, WAL_READ_LOCK(0)).
func (i *Index) ForgetCopied() { i.copied.Store(0) }

// Header reads the header; false when it cannot be read, as where somebody has cut the file. It may be torn: half of it from
// before a commit, half from after. Such a one equals no other.
func (i *Index) Header() (h IndexHeader, ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	for n := range h {
		h[n] = i.header[n].Load()
	}
	return h, true
}
