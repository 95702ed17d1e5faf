package store

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// readAside reads the first n bytes of a file on which SQLite has locks; nil when that is not possible, or would do harm:
// when a process closes a file, it loses its POSIX locks on it, such as those of the -shm. So a file that this process has
// open is left alone, and it opens none meanwhile.
func readAside(path string, n int) []byte {
	opening.Lock()
	defer opening.Unlock()
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

// writtenBeforeStart reports whether a file was last written before the system was started.
func writtenBeforeStart(path string) bool {
	info, err := os.Stat(path)
	var up unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return false
	}
	return info.ModTime().Before(time.Now().Add(-time.Duration(up.Nano())))
}
