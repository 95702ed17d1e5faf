package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/stated/stated/protocol"
)

// This file looks at a write-ahead log before SQLite does. When a program was killed, SQLite takes the log as far as
// its checksums fit, and what is behind the first frame that does not fit is gone without a word: it cannot tell a bit
// that has flipped from a commit that a power cut has torn (https://www.sqlite.org/fileformat2.html#walformat). Two
// things can tell. With plain commits, the index of the log, the -shm, counts a commit only after the log was synced, so all
// that it counts must be there; and a transaction is begun only after the one before it was synced, so a whole one behind a
// broken one was there when that was not yet broken.
//
// Where commits are pipelined, a few may not be synced when the power is cut. Then an index from before says nothing of
// them, and that many may be whole behind a broken one. (After a kill the index says as much as ever.)

// unsyncedBehind is how many commits may be whole behind one that a power cut has torn, where commits are pipelined: the
// others of the pipeline, and one more, by another process or of the store's own housekeeping, that is being synced.
const unsyncedBehind = (unsynced - 1) + 1

// logDamage says what of a log cannot be used.
type logDamage struct {
	salts uint64 // which log it is
	end   int64  // byte up to which it can be used: the end of its last sound commit
	what  string
}

// refuseLosses returns CORRUPT when committed changes in the log are lost, before SQLite gets at the log and writes
// over what is left of them. Where commits are not synced, a power cut does the same, as agreed: then it only warns.
func (s *Store) refuseLosses(ctx context.Context) error {
	if err := refuseEmptied(s.path); err != nil {
		return err
	}
	found, err := scanLog(ctx, s.path)
	if err != nil || found == nil {
		return err
	}
	if err := sleep(ctx, 50*time.Millisecond); err != nil { // a log that is in use has changed by then; damage stays
		return err
	}
	again, err := scanLog(ctx, s.path)
	if err != nil || again == nil || *again != *found {
		return err
	}
	if s.opts.Durability != DurabilityFull {
		s.log.Warn().Str("path", s.path).Msg("committed changes are lost: in the write-ahead log " + found.what)
		return nil
	}
	return protocol.Errorf(protocol.CodeCorrupt, "%[1]s: committed changes are lost: in the write-ahead log %[2]s; nothing was"+
		" changed. Restore a backup. Or, to go on with what is left, keep copies of the file, of its -wal and its -shm, run"+
		" truncate -s %[3]d '%[1]s-wal' && rm -f '%[1]s-shm', and look at stated check --deep", s.path, found.what, found.end)
}

// refuseEmptied returns CORRUPT for a database that has lost all its bytes. SQLite would take it for a new one, remove
// the log beside it, and stated would give revisions out again. Other programs may be creating it at this moment: what
// comes into being later is asked first.
func refuseEmptied(path string) error {
	id, logged := noteOf(path).store, sizeOf(path+"-wal")
	info, err := os.Stat(path)
	gone := errors.Is(err, fs.ErrNotExist)
	empty := err == nil && info.Size() == 0
	switch {
	case logged > logHeader && (gone || empty):
		return protocol.Errorf(protocol.CodeCorrupt, "%[1]s is empty or gone, but %[1]s-wal is not: SQLite would remove it; nothing was changed."+
			" Restore a backup, or move %[1]s-wal away to begin anew", path)
	case id != "" && empty:
		return protocol.Errorf(protocol.CodeCorrupt, "%[1]s is empty, but held the store %[2]s; nothing was changed."+
			" Restore a backup, or, while no stated runs on it, remove %[1]s.owner to begin anew", path, id)
	}
	return nil
}

// scanLog looks at the log of the database at path; nil means that nothing is known to be lost. SQLite holds no locks
// on a log, so that it may be opened and closed.
func scanLog(ctx context.Context, path string) (*logDamage, error) {
	pipelined := noteOf(path).pipelined
	index := readIndex(path + "-shm") // before the log: what it counts is there by now
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return index.lost(nil), nil
	}
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	l, err := newLogReader(f)
	if err != nil {
		return nil, fileError(err)
	}
	if l.pageSize == 0 {
		if l.blank {
			return index.lost(l), nil
		}
		return &logDamage{salts: l.salts, what: "the header does not fit its checksum"}, nil
	}
	for ctx.Err() == nil && l.next() && l.fits {
		if l.commit {
			l.sound, l.end = l.frames, l.offset()
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := index.lost(l)
	allowed := 0
	if pipelined {
		allowed = unsyncedBehind
		if index != nil && index.stale {
			found = nil
		}
	}
	if broken := l.frames; found == nil && !l.over && l.commitsBehind() > allowed {
		found = &logDamage{l.salts, l.end, fmt.Sprintf("page %d does not fit its checksum, and sound commits are behind it", broken)}
	}
	return found, fileError(l.err)
}

// commitsBehind reads on, behind a page that does not fit, and gives how many whole transactions there are that were begun
// after a commit which cannot be used. Where that one had been synced by then, a power cut has not torn it. What a rollback
// has left has no such commit, and is not followed by what came later.
func (l *logReader) commitsBehind() (n int) {
	after := false // each page since the last commit follows the one before it
	for ok := true; ok; ok = l.next() {
		switch {
		case !l.ours:
			after = false
		case l.commit:
			if after && l.fits {
				n++
			}
			after = true
		default:
			after = after && l.fits
		}
	}
	return n
}
