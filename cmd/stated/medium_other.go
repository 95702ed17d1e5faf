//go:build !linux

package main

// memoryFileSystem is known on Linux only.
func memoryFileSystem(string) string { return "" }
