package store

import (
	"context"
	"time"

	"github.com/stated/stated/store/sqlite"
)

// This file shortens the pause in which the writer ends the log. Beside a busy writer the checkpoints in the background leave
// what they copy in the system's memory (SQLite syncs the database only when all of the log is copied), so that the pause would
// have to write all of it. With many agents that is nearly a page for each page of the log.
//
// It is a hint: nothing is durable because of it, and nothing relies on it. What ends the log syncs the database as ever.

// largeDB is the size of a database from which on its pages are written out before the log is ended. The sync of a smaller one
// has little to write, whatever the log has; and since its pages are saved to again and again, each would be written several
// times: with 10,000 agents, in 14 MB, that took a tenth of the saves and more.
const largeDB = 64 << 20

// late reports whether the writer will soon end the log: all checkpoints of nextPass but the first have more in it. Where it is
// ended early, beside outsiders, there is little to write.
func (s *Store) late() bool {
	return 3*s.wal.frames.Load() >= 2*s.opts.WALBytes/(s.pageSize+frameHeader)
}

// writesOut reports whether the database is to be written out now.
func (s *Store) writesOut() bool {
	// A descriptor that is closed takes the ordinary locks of this process on the file with it.
	return s.late() && s.opts.Durability != DurabilityOff && sqlite.OFDLocks() && sizeOf(s.path) >= largeDB
}

// writeOut has the system write out what the checkpoints have copied into a large database, if the log will soon end. It blocks
// until that is on its way, the log has ended, or ctx ends.
func (s *Store) writeOut(ctx context.Context) {
	if !s.writesOut() {
		return
	}
	if s.wal.instead != nil {
		s.wal.instead()
		return
	}
	begun := time.Now()
	err := startWriting(s.path, func() bool { return ctx.Err() == nil && s.late() })
	s.log.Debug().Err(err).Dur("elapsed", time.Since(begun)).Msg("the database was written out")
}
