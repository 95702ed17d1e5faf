package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// nameJournal makes the name of a rollback journal that was just opened durable, and closes it again if that fails. SQLite
// syncs the folder too, behind the journal's first content, and goes on when that fails: a power cut would then take away
// what it needs to undo a half-written database. Such a journal is used only until a file has a write-ahead log. Where
// nothing is gathered, SQLite is left to itself.
func nameJournal(tls *libc.TLS, name, file uintptr) int32 {
	if SyncDir(filepath.Dir(libc.GoString(name))) == nil {
		return lib.SQLITE_OK
	}
	methods := methodsOf(file)
	function[onFile](at[lib.Tsqlite3_io_methods](*methods).FxClose)(tls, file)
	*methods = 0 // nothing is open
	return lib.SQLITE_IOERR_DIR_FSYNC
}

// SyncDir makes the names in a folder durable, on file systems where that can be asked for.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
