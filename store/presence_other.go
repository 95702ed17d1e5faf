//go:build !linux

package store

import "os"

// othersUse is for Linux. Elsewhere other programs are noticed by their first change.
func othersUse(os.FileInfo) bool { return false }
