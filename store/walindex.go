package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// logIndex is what the -shm file says of the log (https://www.sqlite.org/walformat.html#the_wal_index_file_format). It
// is written after a commit was synced, so that it counts no page which a power cut may have torn; but see unsyncedBehind.
type logIndex struct {
	salts  uint64 // of the log that it is about
	frames int    // pages in it, up to the last commit
	copied int    // of those, what is in the database too
	stale  bool   // it was written before the system was started
}

const indexHeader = 48 // bytes; there are two copies, and then how much was copied

// readIndex gives nil when there is no index, or none that makes sense.
func readIndex(path string) *logIndex {
	b := readAside(path, 2*indexHeader+4)
	if b == nil || !bytes.Equal(b[:indexHeader], b[indexHeader:2*indexHeader]) {
		return nil
	}
	order := binary.NativeEndian
	sum := checksum(order, [2]uint32{}, b[:40])
	if b[12] == 0 || sum != [2]uint32{order.Uint32(b[40:]), order.Uint32(b[44:])} {
		return nil
	}
	return &logIndex{
		stale:  writtenBeforeStart(path),
		salts:  binary.BigEndian.Uint64(b[32:]),
		frames: int(order.Uint32(b[16:])),
		copied: int(order.Uint32(b[2*indexHeader:])),
	}
}

// lost says what the index counts and the log does not have any more. Without a log, or when nothing is in it, only what
// was not copied is lost; else all of it is needed, since the log counts more than the database.
//
// After a power cut the index may be older than the log, since nobody syncs it: it counts too few pages then, and may not
// know that all were copied before the log was emptied. A log that is gone altogether was removed after its index.
func (x *logIndex) lost(l *logReader) *logDamage {
	switch {
	case x == nil:
		return nil
	case l == nil || l.pageSize == 0:
		if x.copied >= x.frames || x.stale && l != nil {
			return nil
		}
		return &logDamage{salts: x.salts, what: fmt.Sprintf("there is nothing, but there were %d pages, %d of them copied into the database",
			x.frames, x.copied)}
	case x.salts != l.salts || x.frames <= l.sound:
		return nil
	default:
		return &logDamage{l.salts, l.end, fmt.Sprintf("%d of %d pages can be used", l.sound, x.frames)}
	}
}
