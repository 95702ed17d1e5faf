package store

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stated/stated/protocol"
)

// The bytes of a database file on which SQLite's locks are (https://www.sqlite.org/fileformat2.html#the_lock_byte_page).
// In WAL mode every connection holds one there, from its first statement until it is closed.
const (
	lockBytesAt = 0x40000000 // PENDING_BYTE
	lockBytes   = 512
)

// exclude keeps every SQLite client out of a database until the file is closed. It returns UNAVAILABLE while some
// program has the database open. A client of a database in rollback mode has no lock between its transactions; on
// Linux it is seen all the same, if it is a program of the same user.
//
// This is the one place where stated opens a database without SQLite, so no connection of this process may be open.
func exclude(path string) (*os.File, error) {
	if pid := opener(path, nil); pid != 0 {
		return nil, inUse(path, pid)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fileError(err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: lockBytesAt, Len: lockBytes}
	err = unix.FcntlFlock(f.Fd(), setLock, &lock)
	if err == nil {
		return f, nil
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
		return nil, protocol.Errorf(protocol.CodeIO, "lock %s: %w", path, err)
	}
	pid := 0
	if info, err := f.Stat(); err == nil {
		pid = lockHolder(info)
	}
	return nil, inUse(path, pid)
}

// inUse is the error of a database that another program has open; its process id is 0 if it is not known.
func inUse(path string, pid int) error {
	if pid == 0 {
		return protocol.Errorf(protocol.CodeUnavailable, "%s is open in another program: close it there first", path)
	}
	return protocol.Errorf(protocol.CodeUnavailable, "%s is open in another program, process %d: close it there first", path, pid)
}
