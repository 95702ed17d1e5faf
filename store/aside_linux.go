package store

import (
	"math"
	"runtime"

	"golang.org/x/sys/unix"
)

// readAside reads the first n bytes of a file; nil when that is not possible. It does so on a thread that has a table of
// open files of its own, and ends with it: when a process closes a file, it loses its POSIX locks on it, such as those
// that SQLite holds on the -shm, and for that a thread with its own table counts as another process.
func readAside(path string, n int) []byte {
	result := make(chan []byte)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		result <- readAlone(path, n)
	}()
	return <-result
}

func readAlone(path string, n int) []byte {
	if unix.CloseRange(0, math.MaxUint32, unix.CLOSE_RANGE_UNSHARE) != nil {
		return nil // a kernel before 5.9
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	b := make([]byte, n)
	if got, err := unix.Pread(fd, b, 0); err != nil || got != n {
		return nil
	}
	return b
}
