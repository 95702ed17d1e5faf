package store

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stated/stated/protocol"
)

// Restored is what [Restore] has put into place.
type Restored struct {
	Path     string `json:"path"`
	StoreID  string `json:"store_id"` // a new one: clients can tell that this is another history
	Revision int64  `json:"revision"` // the counter
	Agents   int64  `json:"agents"`   // rows in all
}

// revisionGap is how far the counter of a restored file is ahead of the backup's and of the old file's: of the revisions
// that were given out after the backup, none is given out again.
const revisionGap = 1 << 32

// Restore puts a copy of src in the place of the file at path: src is a backup, another file of stated, or one of the
// project that the table comes from. The copy gets a new store id, and a revision counter ahead of all that was given
// out. It is verified, every row with its checksum, before anything else is touched. A crash at any moment leaves the
// old file or the new one; then Restore can be repeated, which removes what the first one left.
//
// It returns UNAVAILABLE when a store or another program has the file at path open, INVALID when src or path cannot be
// used or there is something that stated has never had, CORRUPT when src is damaged, and what the disk says otherwise.
// With the first error the file at path is left as it was, but that its log may have been written into it. It blocks while
// a program that has opened the old file in the last moment keeps it open; when ctx ends, UNAVAILABLE names that program.
func Restore(ctx context.Context, src, path string, o Options) (_ *Restored, err error) {
	r := &restoration{opts: o}
	defer func() { err = errors.Join(err, r.end()) }()
	for _, step := range r.steps(src, path) {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &r.result, nil
}

// restoration is a Restore in progress.
type restoration struct {
	opts     Options
	src      *Store
	old      *Store      // the file in whose place the copy goes; nothing of it is open but its ownership
	was      os.FileInfo // the same; nil when there is none
	temp     string      // the copy, in the same folder
	counter  int64       // of the old file, as far as it can be read
	damaged  bool        // the old file is: its log stays
	excluded *os.File    // the old file, with a lock that keeps others out of it
	result   Restored
}

const restoringSuffix = ".restoring-"

// steps are what has to be done, in an order in which it may end after any of them.
func (r *restoration) steps(src, path string) []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) error { return r.openBoth(ctx, src, path) },
		r.claim,
		r.copy,
		r.emptyLog, // so that the old file is whole without it
		r.renew,
		r.excludeOthers,
		// Before the rename: a log that lies beside a database is taken for its own.
		r.remove("-journal"), r.remove("-wal"), r.remove("-shm"),
		r.syncDir,
		r.rename,
		r.syncDir,
		r.retire,
	}
}

// openBoth looks at both files, and changes nothing.
func (r *restoration) openBoth(ctx context.Context, src, path string) (err error) {
	if r.old, err = newStore(path, r.opts); err != nil {
		return err
	}
	if r.src, err = OpenReadOnly(ctx, src, r.opts); err != nil {
		return err
	}
	if r.src.path == r.old.path {
		return protocol.Errorf(protocol.CodeInvalid, "%s is the file itself: name a backup of it", src)
	}
	r.result.Path = r.old.path
	r.was, err = os.Stat(r.old.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fileError(err)
	}
	return r.old.replaceable(ctx)
}

// claim keeps other stores out, makes sure that nobody else has the file open, and removes what a killed Restore left.
func (r *restoration) claim(context.Context) (err error) {
	if r.old.owner, err = own(r.old.path); err != nil {
		return err
	}
	if r.was != nil {
		free, err := exclude(r.old.path)
		if err != nil {
			return err
		}
		if err := errors.Join(free.Close(), give(ownerPath(r.old.path), r.was)); err != nil {
			return err
		}
	}
	dir := filepath.Dir(r.old.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fileError(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(r.old.path)+restoringSuffix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fileError(err)
			}
		}
	}
	return nil
}

// copy makes and verifies the copy, with the owner of the old file.
func (r *restoration) copy(ctx context.Context) (err error) {
	if r.temp, err = createTemp(r.old.path + restoringSuffix); err != nil {
		return err
	}
	if r.was != nil {
		if err := give(r.temp, r.was); err != nil {
			return err
		}
	}
	report, err := r.src.copyVerified(ctx, r.temp, r.opts)
	if err == nil {
		r.result.Agents = report.Agents
	}
	return err
}

// durable are the options with which the files are written here, whatever stated is run with later.
func (r *restoration) durable() Options {
	o := r.old.opts
	o.Durability = DurabilityFull
	return o
}

// renew makes the copy a file of its own history, with the mode of the old file, on disk.
func (r *restoration) renew(ctx context.Context) (err error) {
	c, err := r.durable().open(ctx, r.temp, accessWrite)
	if err != nil {
		return translate(err)
	}
	err = c.inTransaction(ctx, func() error { return r.newHistory(ctx, c) })
	if err == nil {
		_, _, err = c.row(ctx, "PRAGMA journal_mode=WAL") // nothing is in the log yet
	}
	if err := errors.Join(err, c.close()); err != nil {
		return translate(err)
	}
	if r.was != nil {
		if err := os.Chmod(r.temp, r.was.Mode().Perm()); err != nil {
			return fileError(err)
		}
	}
	return syncFile(r.temp)
}

func (r *restoration) newHistory(ctx context.Context, c *conn) error {
	if err := migrateWithin(ctx, c, r.src.path); err != nil {
		return err
	}
	row, _, err := c.row(ctx, "SELECT revision FROM stated_meta WHERE id = 1")
	if err != nil {
		return err
	}
	counter, _ := row[0].(int64)
	if counter > maxForeignRevision-revisionGap {
		return protocol.Errorf(protocol.CodeCorrupt, "%s: the revision counter is damaged: it is %d", r.src.path, counter)
	}
	r.result.StoreID, r.result.Revision = rand.Text(), max(counter, r.counter)+revisionGap
	return c.exec(ctx, "UPDATE stated_meta SET store_id = ?, revision = ? WHERE id = 1", r.result.StoreID, r.result.Revision)
}

func (r *restoration) remove(suffix string) func(context.Context) error {
	return func(context.Context) error {
		if err := os.Remove(r.old.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(err)
		}
		return nil
	}
}

func (r *restoration) syncDir(context.Context) error { return syncDir(filepath.Dir(r.old.path)) }

func (r *restoration) rename(context.Context) error {
	if r.was == nil {
		return fileError(renameNew(r.temp, r.old.path))
	}
	return fileError(os.Rename(r.temp, r.old.path))
}

// end removes what is left of the copy, and lets go of both files.
func (r *restoration) end() error {
	var errs []error
	if r.temp != "" {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			if err := os.Remove(r.temp + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fileError(err))
			}
		}
	}
	return errors.Join(append(errs, r.release())...)
}

func (r *restoration) release() error {
	var errs []error
	if r.src != nil {
		errs = append(errs, r.src.Close())
	}
	if r.excluded != nil {
		errs = append(errs, r.excluded.Close())
	}
	if r.old != nil {
		errs = append(errs, r.old.Close())
	}
	return errors.Join(errs...)
}
