package store

import "golang.org/x/sys/unix"

// setLock takes a lock that belongs to the open file, as those of SQLite do here: it also meets those of this very
// process, and is not dropped when other code of it closes the file.
const setLock = unix.F_OFD_SETLK
