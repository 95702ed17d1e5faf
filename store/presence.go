package store

import (
	"os"
	"slices"
)

// This file asks the system which processes have locks on the files, without touching them.

// recordLock is one that a process has on a part of a file.
type recordLock struct {
	pid         int
	first, last int64 // bytes
}

// othersUse reports whether a program without stated has the database open: a connection to a database in WAL mode
// holds a record lock on the file from its first statement on, also while it waits for the write lock.
func othersUse(db os.FileInfo) bool {
	return lockHolder(db) != 0
}

// lockHolder gives the process id of another program that has a lock on the database, 0 for none.
func lockHolder(db os.FileInfo) int {
	for _, l := range recordLocks(db) {
		if l.pid != os.Getpid() {
			return l.pid
		}
	}
	return 0
}

// The locks of those who hold a snapshot are on these bytes of the -shm file. The first is of those who need nothing of
// the log, since all of it was in the database when they came: nothing more may be copied while they read
// (https://www.sqlite.org/walformat.html#wal_locks).
const firstReadLock, lastReadLock = 123, 127

// readersOfLog gives the processes that hold a snapshot at the moment; nothing where it is not known.
func readersOfLog(path string) []int {
	shm, err := os.Stat(path + "-shm")
	if err != nil {
		return nil
	}
	pids := []int{}
	for _, l := range recordLocks(shm) {
		if l.first <= lastReadLock && l.last >= firstReadLock && !slices.Contains(pids, l.pid) {
			pids = append(pids, l.pid)
		}
	}
	slices.Sort(pids)
	return pids
}
