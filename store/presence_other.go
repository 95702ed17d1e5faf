//go:build !linux

package store

import "os"

// recordLocks is for Linux. Elsewhere other programs are noticed by their first change.
func recordLocks(os.FileInfo) []recordLock { return nil }

// opener is for Linux. Elsewhere a program that has the file open is noticed by its locks.
func opener(string, *os.File) int { return 0 }
