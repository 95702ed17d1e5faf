package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stated/stated/protocol"
)

// pageSize of files that we create, in bytes. States of 1 to 16 KiB were measured: see ARCHITECTURE.md.
const pageSize = 4096

// resolve gives the absolute path of the database with all symlinks followed, so that one file has one owner
// whatever it was called. It returns INVALID when there cannot be a database.
func resolve(path string) (string, error) {
	if path == "" {
		return "", protocol.Errorf(protocol.CodeInvalid, "the path of the database is empty")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", protocol.Errorf(protocol.CodeInvalid, "%s: %w", path, err)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err == nil {
		info, err := os.Stat(resolved)
		if err != nil {
			return "", protocol.Errorf(protocol.CodeInvalid, "%w", err)
		}
		if !info.Mode().IsRegular() {
			return "", protocol.Errorf(protocol.CodeInvalid, "%s is not a regular file", path)
		}
		if names(info) > 1 {
			return "", protocol.Errorf(protocol.CodeInvalid,
				"%s has more than one name (hard links): SQLite would keep a log for each, and lose changes", path)
		}
		return resolved, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", protocol.Errorf(protocol.CodeInvalid, "%s: %w", path, err)
	}
	if info, err := os.Lstat(abs); err == nil {
		if info.Mode().Type() != fs.ModeSymlink { // somebody has made it just now
			return resolve(path)
		}
		return "", protocol.Errorf(protocol.CodeInvalid, "%s is a symbolic link to nothing", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", protocol.Errorf(protocol.CodeInvalid, "the folder %s does not exist: create it, or name another file",
			filepath.Dir(abs)).Because(err)
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

// names gives how many hard links a file has.
func names(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink) //nolint:unconvert // its type differs between systems
	}
	return 1
}

// touch creates the file, for its owner alone, if it is not there. SQLite gives -wal and -shm the same mode. It
// must not open a file that is already there: closing it again could drop SQLite's locks.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fileError(err)
	}
	if err := f.Close(); err != nil {
		return fileError(err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a folder durable, on file systems where that can be asked for.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fileError(err)
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return fileError(errors.Join(err, d.Close()))
}

// linkNew is renameNew in two steps: a crash between them leaves both names, and a database that has two is refused.
func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

func fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return protocol.Errorf(protocol.CodeFull, "%w", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return protocol.Errorf(protocol.CodeReadOnly, "%w", err)
	default:
		return protocol.Errorf(protocol.CodeIO, "%w", err)
	}
}

// prepareFile creates, adopts or migrates what c has open, after it has been found to be of kind.
func prepareFile(ctx context.Context, c *conn, path string, kind fileKind) error {
	if kind == fileEmpty {
		// Both hold only if set before the first page is written.
		if err := c.exec(ctx, fmt.Sprintf("PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL", pageSize)); err != nil {
			return err
		}
	}
	row, _, err := c.row(ctx, "PRAGMA journal_mode=WAL")
	if err != nil {
		return err
	}
	if row[0] != "wal" {
		return refuse(path, "its file system does not allow a write-ahead log (journal_mode stays %v)", row[0])
	}
	return migrate(ctx, c, path)
}

// inTransaction runs f between BEGIN IMMEDIATE and COMMIT.
func (c *conn) inTransaction(ctx context.Context, f func() error) error {
	if err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.exec(context.Background(), "COMMIT")
	}
	if err == nil {
		return nil
	}
	if rollback := c.exec(context.Background(), "ROLLBACK"); rollback != nil && !isNoTransaction(rollback) {
		return errors.Join(err, rollback)
	}
	return err
}
