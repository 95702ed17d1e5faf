package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// pageSize of files that we create, in bytes. States of 1 to 16 KiB were measured: see ARCHITECTURE.md.
const pageSize = 4096

// prepareFile creates, adopts or migrates what c has open, after it has been found to be of kind.
func prepareFile(ctx context.Context, c *conn, path string, kind fileKind) error {
	if kind == fileEmpty {
		// Both hold only if set before the first page is written.
		if err := c.exec(ctx, fmt.Sprintf("PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL", pageSize)); err != nil {
			return err
		}
	}
	if err := useLog(ctx, c, path); err != nil {
		return err
	}
	return migrate(ctx, c, path)
}

// useLog makes the file one with a write-ahead log.
func useLog(ctx context.Context, c *conn, path string) error {
	opening.RLock()
	defer opening.RUnlock()
	row, _, err := c.row(ctx, "PRAGMA journal_mode=WAL")
	if err != nil {
		return err
	}
	if row[0] != "wal" {
		return refuse(path, "its file system does not allow a write-ahead log (journal_mode stays %v)", row[0])
	}
	return nil
}

// touch creates the file, for its owner alone, if it is not there. SQLite gives -wal and -shm the same mode. It
// must not open a file that is already there: closing it again could drop SQLite's locks.
func (s *Store) touch() error {
	if _, err := os.Stat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return fileError(err)
	}
	if err := s.owner.holds(""); err != nil { // before the file, which is empty until SQLite has filled it
		return err
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) { // somebody else made it in this moment
		return nil
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fileError(err)
	}
	return syncDir(filepath.Dir(s.path))
}
