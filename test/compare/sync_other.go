//go:build !linux

package main

import "os"

// dataSync brings a file's data to the disk.
func dataSync(f *os.File) error { return f.Sync() }
