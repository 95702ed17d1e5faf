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
//
// Its text is "pid time", for people and messages, and in a second line the id of the store that the database holds: an
// empty database beside it has lost that store, while one without it was never filled. A third line says that the log may
// hold commits that were not synced before the next ones were made, see walscan.go.
type owner struct {
	file *os.File
	who  string // the first line
	note ownerNote
}

// ownerNote is what the file says beside who has it.
type ownerNote struct {
	store     string
	pipelined bool
}

// pipelinedLine is the third line.
const pipelinedLine = "commits are pipelined"

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
	o := &owner{file: f, who: fmt.Sprintf("%d %s", os.Getpid(), time.Now().UTC().Format(time.RFC3339))}
	_, before := ownerText(f)
	if err := o.write(before); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return o, nil
}

// holds notes the id of the store that the database holds; none for one that is about to be created.
func (o *owner) holds(store string) error { return o.write(ownerNote{store, o.note.pipelined}) }

// pipelines notes whether commits are pipelined from now on. That is durable when it returns.
func (o *owner) pipelines(on bool) error {
	if on == o.note.pipelined {
		return nil
	}
	return errors.Join(o.write(ownerNote{o.note.store, on}), fileError(o.file.Sync()))
}

func (o *owner) write(note ownerNote) error {
	o.note = note
	text := o.who + "\n" + note.store + "\n"
	if note.pipelined {
		text += pipelinedLine + "\n"
	}
	_, err := o.file.WriteAt([]byte(text), 0)
	return fileError(errors.Join(err, o.file.Truncate(int64(len(text)))))
}

// noteOf gives what is known of the database at path.
func noteOf(path string) ownerNote {
	f, err := os.Open(ownerPath(path))
	if err != nil {
		return ownerNote{}
	}
	defer f.Close() //nolint:errcheck // it was only read
	_, note := ownerText(f)
	return note
}

func ownerText(f *os.File) (who string, note ownerNote) {
	text := make([]byte, 256)
	n, _ := f.ReadAt(text, 0) // a short read is the normal case
	who, rest, _ := strings.Cut(string(text[:n]), "\n")
	store, rest, _ := strings.Cut(rest, "\n")
	return who, ownerNote{strings.TrimSpace(store), strings.TrimSpace(rest) == pipelinedLine}
}

func owned(path string, f *os.File) error {
	who, _ := ownerText(f)
	pid, since, _ := strings.Cut(who, " ")
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
