//go:build !linux

package store

// What is known of a file system on Linux only.

func networkFileSystem(string) string { return "" }

func readOnlyFileSystem(string) bool { return false }
