package store

import (
	"os"
	"path/filepath"
)

// readAside reads the first n bytes of a file on which SQLite has locks; nil when that is not possible, or would do harm:
// when a process closes a file, it loses its POSIX locks on it, such as those of the -shm. So a file that this process has
// open is left alone.
func readAside(path string, n int) []byte {
	info, err := os.Stat(path)
	if err != nil || info.Size() < int64(n) || mayBeOpen(info) {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // it was only read
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil
	}
	return b
}

// mayBeOpen reports whether this process has a file open, or that cannot be known. /proc/locks is no help: it numbers
// devices otherwise than stat does, on btrfs for one.
func mayBeOpen(file os.FileInfo) bool {
	const ours = "/proc/self/fd"
	list, err := os.ReadDir(ours)
	if err != nil {
		return true
	}
	for _, fd := range list {
		if info, err := os.Stat(filepath.Join(ours, fd.Name())); err == nil && os.SameFile(info, file) {
			return true
		}
	}
	return false
}
