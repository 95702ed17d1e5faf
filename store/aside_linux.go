package store

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// readAside reads the first n bytes of a file; nil when that is not possible. It does so on a thread that has a table of
// open files of its own, and ends with it: when a process closes a file, it loses its POSIX locks on it, such as those
// that SQLite holds on the -shm, and for that a thread with its own table counts as another process
// (https://man7.org/linux/man-pages/man2/unshare.2.html, CLONE_FILES).
func readAside(path string, n int) []byte {
	result := make(chan []byte, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends. While it is taken, another one does it.
			result <- readAside(path, n)
			runtime.UnlockOSThread()
			return
		}
		result <- readAlone(path, n)
	}()
	return <-result
}

// readAlone must leave every other file of the table open: Go's scheduler uses some of them on any thread.
func readAlone(path string, n int) []byte {
	if unix.Unshare(unix.CLONE_FILES) != nil {
		return nil
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
