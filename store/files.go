package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
)

// This file asks the operating system about files, and makes their names and contents durable.

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

// syncDir makes the names in a folder durable, on file systems where that can be asked for.
func syncDir(dir string) error { return fileError(sqlite.SyncDir(dir)) }

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

// createTemp makes an empty file, for its owner alone, whose name begins so.
func createTemp(prefix string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(prefix), filepath.Base(prefix)+"*")
	if err != nil {
		return "", fileError(err)
	}
	return f.Name(), fileError(f.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fileError(err)
	}
	return fileError(errors.Join(f.Sync(), f.Close()))
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
