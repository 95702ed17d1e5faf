//go:build !linux

package store

// networkFileSystem is for Linux.
func networkFileSystem(string) string { return "" }
