package store

import (
	"errors"
	"io/fs"
	"os"

	"github.com/stated/stated/protocol"
)

// identity remembers which files the database and its write-ahead log are. In WAL mode SQLite goes on writing,
// without an error, when somebody moves, replaces or removes them; then nothing that it writes can be trusted to be
// found again.
type identity struct {
	path    string
	db, wal os.FileInfo
}

func identify(path string) (identity, error) {
	db, err := os.Stat(path)
	if err != nil {
		return identity{}, moved(path, err)
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return identity{}, moved(path+"-wal", err)
	}
	return identity{path: path, db: db, wal: wal}, nil
}

// check returns UNAVAILABLE when a file is no longer the one it was. It only asks for names, and opens nothing.
func (i identity) check() error {
	if err := i.checkDB(); err != nil {
		return err
	}
	return same(i.path+"-wal", i.wal)
}

// checkDB is check for the database alone: a log may be made anew between two connections.
func (i identity) checkDB() error { return same(i.path, i.db) }

// logIsGone reports whether the database is in its place and its log alone was removed: nothing is there in its stead,
// or a log into which nobody has written yet.
func (i identity) logIsGone() bool {
	if i.checkDB() != nil || same(i.path+"-wal", i.wal) == nil {
		return false
	}
	info, err := os.Stat(i.path + "-wal")
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

func same(path string, was os.FileInfo) error {
	is, err := os.Stat(path)
	if err != nil {
		return moved(path, err)
	}
	if !os.SameFile(is, was) {
		return moved(path, nil)
	}
	return nil
}

func moved(path string, cause error) error {
	return protocol.Errorf(protocol.CodeUnavailable,
		"%s was moved, replaced or removed while in use: put it back, or restart", path).Because(cause)
}
