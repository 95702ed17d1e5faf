package store

import (
	"os"
	"slices"
)

// readAside reads the first n bytes of a file on which SQLite has locks; nil when that is not possible, or would do harm:
// when a process closes a file, it loses its POSIX locks on it, such as those of the -shm. So a file on which this process
// has any is left alone.
func readAside(path string, n int) []byte {
	info, err := os.Stat(path)
	if err != nil || info.Size() < int64(n) {
		return nil
	}
	if slices.ContainsFunc(recordLocks(info), func(l recordLock) bool { return l.pid == os.Getpid() }) {
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
