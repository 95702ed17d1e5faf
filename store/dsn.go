package store

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
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

// pragma is a setting of a connection, given in the DSN and read back after opening: a setting that SQLite
// silently ignored would break a promise.
type pragma struct {
	name  string
	value int64
}

// synchronous maps the durability levels to SQLite's numbers.
var synchronous = map[Durability]int64{DurabilityOff: 0, DurabilityNormal: 1, DurabilityFull: 2}

func (o Options) pragmas(a access) []pragma {
	list := []pragma{
		// KiB when negative; every connection gets an equal share.
		{"cache_size", -max(1, o.CacheBytes/int64(o.Readers+1)/1024)},
		{"mmap_size", 0}, // a faulting file must be an error, not a signal
		{"synchronous", synchronous[o.Durability]},
	}
	switch a {
	case accessRead, accessInspect:
		// A reader asks at once and waits in Store.read, where its caller's context is watched.
		list = append(list, pragma{"busy_timeout", 0}, pragma{"query_only", 1})
	case accessBackup: // query_only would keep it from writing the copy
	case accessWrite:
		list = append(list,
			pragma{"busy_timeout", o.LockTimeout.Milliseconds()},
			pragma{"query_only", 0},
			pragma{"journal_size_limit", o.WALBytes}, // what the log is cut down to when it begins anew
			pragma{"wal_autocheckpoint", 0},          // see checkpoint.go
			pragma{"recursive_triggers", 0},
			pragma{"foreign_keys", 0})
	}
	return list
}

func (o Options) dsn(path string, a access) string {
	q := url.Values{}
	q.Set("mode", "rw")
	if a == accessInspect || a == accessBackup {
		q.Set("mode", "ro")
	}
	q.Set("_error_rc", "1") // an error's text belongs to its code
	q.Set("_dqs", "0")      // "name" is never a string
	q.Set("_defensive", "1")
	for _, p := range o.pragmas(a) {
		q.Add("_pragma", fmt.Sprintf("%s(%d)", p.name, p.value))
	}
	// The path is escaped, so that a '?', '#' or '%' in it stays part of the file's name.
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// open connects and asserts the connection's settings.
func (o Options) open(ctx context.Context, path string, a access) (_ *conn, err error) {
	c, err := connect(ctx, o.dsn(path, a))
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

// lockTimeoutPragma sets how long a connection waits for a lock.
func lockTimeoutPragma(d time.Duration) string {
	return "PRAGMA busy_timeout=" + strconv.FormatInt(d.Milliseconds(), 10)
}
