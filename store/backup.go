package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stated/stated/protocol"
)

// Backup writes a copy of the database at path to dest, of one revision, while others read and write. The copy is
// verified before it gets its name, every row with its checksum; it is for its owner alone, and durable when Backup
// returns. The copy's revision counter is given.
//
// It returns INVALID when dest exists or has no folder, or path is no database of ours, CORRUPT when the database is
// damaged, and what the disk says otherwise; then there is no dest.
func Backup(ctx context.Context, path, dest string, o Options) (_ int64, err error) {
	s, err := OpenReadOnly(ctx, path, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.refuseDest(dest); err != nil {
		return 0, err
	}
	temp, err := createTemp(dest + ".partial-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(temp)              //nolint:errcheck // it has been renamed, or is not wanted
	defer os.Remove(temp + "-journal") //nolint:errcheck // of a copy that failed when some of it was written
	report, err := s.copyVerified(ctx, temp, o)
	if err != nil {
		return 0, err
	}
	if err := syncFile(temp); err != nil {
		return 0, err
	}
	if err := renameNew(temp, dest); err != nil {
		return 0, fileError(err)
	}
	if err := syncDir(filepath.Dir(dest)); err != nil {
		return 0, errors.Join(err, os.Remove(dest))
	}
	return report.Revision, nil
}

// refuseDest returns INVALID when a backup cannot get that name.
func (s *Store) refuseDest(dest string) error {
	dir := filepath.Dir(dest)
	if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return protocol.Errorf(protocol.CodeInvalid, "the folder %s does not exist: create it, or name another file", dir)
	}
	if s.isBeside(dest) {
		return protocol.Errorf(protocol.CodeInvalid, "%s is a name that belongs to %s: name another file for the copy", dest, s.path)
	}
	info, err := os.Lstat(dest)
	if err != nil {
		return nil // nothing is there, or it turns out when the copy is made
	}
	if there, err := filepath.EvalSymlinks(dest); err == nil {
		if there, err = filepath.Abs(there); err == nil && there == s.path {
			return protocol.Errorf(protocol.CodeInvalid, "%s is the file itself: name another one for the copy", dest)
		}
	}
	if info.IsDir() {
		return protocol.Errorf(protocol.CodeInvalid, "%s is a folder: name a file in it", dest)
	}
	return protocol.Errorf(protocol.CodeInvalid, "%s exists already: name another file, or remove it", dest)
}

// isBeside reports whether SQLite, or we, would take a file of that name for a part of the database.
func (s *Store) isBeside(dest string) bool {
	dir, err := filepath.EvalSymlinks(filepath.Dir(dest))
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	suffix, ok := strings.CutPrefix(filepath.Join(dir, filepath.Base(dest)), s.path)
	return err == nil && ok && slices.Contains([]string{"-journal", "-wal", "-shm", ".owner"}, suffix)
}

// copyVerified is copyTo with a look at every row of the copy. It returns CORRUPT when the copy is damaged.
func (s *Store) copyVerified(ctx context.Context, dest string, o Options) (*Report, error) {
	if err := s.copyTo(ctx, dest); err != nil {
		return nil, err
	}
	report, err := Check(ctx, dest, o, true)
	if err == nil && len(report.Problems) > 0 {
		err = protocol.Errorf(protocol.CodeCorrupt, "%s is damaged, and a copy of it would be too: %s; see stated check --deep", s.path, report.Problems[0])
	}
	return report, err
}

// copyTo writes a compact copy of the last committed state into an empty file.
func (s *Store) copyTo(ctx context.Context, dest string) (err error) {
	c, err := s.opts.connect(ctx, s.path, accessBackup)
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "copy", func() error {
		total, err := usedBytes(ctx, c)
		if err != nil {
			return err
		}
		stop := s.opts.Progress.watch("copy", dest, total)
		defer stop()
		return c.exec(ctx, "VACUUM INTO "+literal(dest))
	})
	if err != nil {
		e := *protocol.AsError(translate(err))
		e.Message = fmt.Sprintf("copying %s into %s: %s", s.path, filepath.Dir(dest), e.Message)
		return &e
	}
	return nil
}

// usedBytes gives the size of the database without its free pages.
func usedBytes(ctx context.Context, c *conn) (int64, error) {
	row, _, err := c.row(ctx, "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size")
	if err != nil {
		return 0, err
	}
	n, _ := row[0].(int64)
	return n, nil
}
