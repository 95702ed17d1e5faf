package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fdatasync makes the content of a file durable, and of what is known about it only what is needed to read it.
func fdatasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
