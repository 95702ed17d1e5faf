package store

import "os"

// ReadAside is readAside.
func ReadAside(path string, n int) []byte { return readAside(path, n) }

// LocksOn counts the POSIX locks on a file.
func LocksOn(file os.FileInfo) int { return len(recordLocks(file)) }
