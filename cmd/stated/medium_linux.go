package main

import "golang.org/x/sys/unix"

// inMemory are the file systems that have no disk, where an fsync costs nothing.
var inMemory = map[int64]string{unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs"}

// memoryFileSystem names the file system that path is on, if it has no disk.
func memoryFileSystem(path string) string {
	var stat unix.Statfs_t
	if unix.Statfs(path, &stat) != nil {
		return ""
	}
	return inMemory[int64(stat.Type)] //nolint:unconvert // its type differs between systems
}
