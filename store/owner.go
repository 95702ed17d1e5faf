package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stated/stated/protocol"
)

// owner is the lock that makes this process the only one that writes a file through stated: an flock on
// <database>.owner. The kernel releases it when the process dies. It is a file of its own, since closing any
// descriptor of the database would drop SQLite's locks; plain SQLite clients need no lock. The file stays when the
// lock is released: removing it would let two owners hold locks on two files of one name.
type owner struct{ file *os.File }

func ownerPath(path string) string { return path + ".owner" }

// own takes the lock. It returns UNAVAILABLE, with [protocol.FactOwner], while another store holds it.
func own(path string) (*owner, error) {
	f, err := os.OpenFile(ownerPath(path), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fileError(err)
	}
	if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close() //nolint:errcheck // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, owned(path, f)
		}
		return nil, protocol.Errorf(protocol.CodeIO, "lock %s: %w", f.Name(), err)
	}
	// The text is for people and messages only: the lock alone counts.
	text := fmt.Sprintf("%d %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		return nil, errors.Join(fileError(err), f.Close())
	}
	return &owner{file: f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func owned(path string, f *os.File) error {
	text := make([]byte, 128)
	n, _ := f.ReadAt(text, 0) // a short read is the normal case
	pid, since, _ := strings.Cut(strings.TrimSpace(string(text[:n])), " ")
	if _, err := strconv.Atoi(pid); err != nil {
		return protocol.Errorf(protocol.CodeUnavailable, "%s is in use by another process that writes it through stated", path)
	}
	return protocol.Errorf(protocol.CodeUnavailable,
		"%s is in use by process %s, which has written it through stated since %s: connect to that one, or stop it",
		path, pid, since).With(protocol.FactOwner, pid)
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// release gives the lock back. To close the file is not enough: a child that another goroutine is starting has a copy
// of the descriptor until its exec, and a lock lasts as long as any copy.
func (o *owner) release() error {
	return errors.Join(flock(o.file, syscall.LOCK_UN), o.file.Close())
}
