package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// access says what a connection is for.
type access int

const (
	accessInspect access = iota // looks, and neither creates, converts nor checkpoints anything
	accessBackup                // reads the database into a new file
	accessRead                  // one of the readers beside the writer
	accessWrite                 // the writer
)

// pragma is a setting of a connection, made when it is opened and read back: a setting that SQLite
// silently ignored would break a promise.
type pragma struct {
	name  string
	value int64
}

// synchronous maps the durability levels to SQLite's numbers.
var synchronous = map[Durability]int64{DurabilityOff: 0, DurabilityNormal: 1, DurabilityFull: 2}

func (o Options) pragmas(a access) []pragma {
	list := []pragma{
		{"cache_size", -max(1, o.cacheShare(a)/1024)}, // KiB when negative
		{"mmap_size", 0}, // a faulting file must be an error, not a signal
		{"synchronous", synchronous[o.Durability]},
	}
	switch a {
	case accessRead, accessInspect:
		list = append(list, pragma{"query_only", 1})
	case accessBackup: // query_only would keep it from writing the copy
	case accessWrite:
		list = append(list,
			pragma{"query_only", 0},
			pragma{"journal_size_limit", o.WALBytes}, // what the log is cut down to when it begins anew
			pragma{"wal_autocheckpoint", 0},          // see checkpoint.go
			pragma{"recursive_triggers", 0},
			pragma{"foreign_keys", 0})
	}
	return list
}

// cacheShare is how many bytes of pages a connection may keep: three quarters go to the writer, which reads each page that it
// changes, and the readers share the rest. Memory is twice that: what SQLite asks for, a page and some 200 bytes, is rounded
// up to the next power of two by the allocator of the translated library (modernc.org/memory, UintptrMalloc).
func (o Options) cacheShare(a access) int64 {
	share := o.CacheBytes / 2
	if a == accessWrite {
		return share * 3 / 4
	}
	return share / 4 / int64(o.Readers)
}

// connect opens a connection with its settings.
func (o Options) connect(ctx context.Context, path string, a access) (*conn, error) {
	var settings strings.Builder
	for _, p := range o.pragmas(a) {
		fmt.Fprintf(&settings, "PRAGMA %s=%d;", p.name, p.value)
	}
	wait := time.Duration(0)
	if a == accessWrite {
		wait = o.LockTimeout
	}
	return connect(ctx, path, a == accessInspect || a == accessBackup, a == accessWrite && o.WALWrites == WALGathered, wait, settings.String())
}

// open connects and asserts the connection's settings.
func (o Options) open(ctx context.Context, path string, a access) (_ *conn, err error) {
	c, err := o.connect(ctx, path, a)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.close() // the first error counts
		}
	}()
	for _, p := range o.pragmas(a) {
		row, _, err := c.row(ctx, "PRAGMA "+p.name)
		if err != nil {
			return nil, err
		}
		if len(row) != 1 || row[0] != p.value {
			return nil, protocol.Errorf(protocol.CodeInternal, "PRAGMA %s is %v, not %d as set", p.name, row, p.value)
		}
	}
	return c, nil
}
