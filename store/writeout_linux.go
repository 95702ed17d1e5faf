package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// writeOutPiece bounds what the writer's own syncs may have to wait for.
const writeOutPiece = 1 << 20

// startWriting has the system begin to write what it holds of a file in memory, piece by piece, as long as more says so.
//
// It does not wait for what it begins. A wait would be told of errors that were met in writing, and mark them as seen: whoever
// has the file open is told of them all the same, but not who opens it after that, and the writer's connection is opened anew
// after a failure. So an error is left for the sync that it belongs to.
func startWriting(path string, more func() bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	info, err := f.Stat()
	for at := int64(0); err == nil && at < info.Size() && more(); at += writeOutPiece {
		err = unix.SyncFileRange(int(f.Fd()), at, writeOutPiece, unix.SYNC_FILE_RANGE_WRITE)
	}
	return err
}
