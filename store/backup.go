package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/stated/stated/protocol"
)

// Backup writes a copy of the database at path to dest, of one revision, while others read and write. The copy is
// verified before it gets its name, is for its owner alone, and durable when Backup returns. The copy's revision
// counter is given.
//
// It returns INVALID when dest exists or path is no database of ours, and what the disk says otherwise; then there
// is no dest.
func Backup(ctx context.Context, path, dest string, o Options) (_ int64, err error) {
	s, err := OpenReadOnly(ctx, path, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := os.Lstat(dest); err == nil {
		return 0, protocol.Errorf(protocol.CodeInvalid, "%s exists already: name another file, or remove it", dest)
	}
	temp, err := os.CreateTemp(filepath.Dir(dest), filepath.Base(dest)+".partial-*")
	if err != nil {
		return 0, fileError(err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it has been renamed, or is not wanted
	if err := temp.Close(); err != nil {
		return 0, fileError(err)
	}
	if err := s.copyTo(ctx, temp.Name()); err != nil {
		return 0, err
	}
	report, err := Check(ctx, temp.Name(), o, false)
	if err != nil {
		return 0, err
	}
	if len(report.Problems) > 0 {
		return 0, protocol.Errorf(protocol.CodeCorrupt, "the copy is damaged: %s", report.Problems[0])
	}
	if err := syncFile(temp.Name()); err != nil {
		return 0, err
	}
	// A hard link fails where a rename would replace a file that somebody put there meanwhile.
	if err := os.Link(temp.Name(), dest); err != nil {
		return 0, fileError(err)
	}
	return report.Revision, syncDir(filepath.Dir(dest))
}

// copyTo writes a compact copy of the last committed state into an empty file.
func (s *Store) copyTo(ctx context.Context, dest string) (err error) {
	c, err := connect(ctx, s.opts.dsn(s.path, accessBackup))
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "backup", func() error {
		return c.exec(ctx, "VACUUM INTO "+literal(dest))
	})
	return translate(err)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fileError(err)
	}
	return fileError(errors.Join(f.Sync(), f.Close()))
}
