package main

import (
	"os"
	"syscall"
)

// dataSync brings a file's data to the disk, as the stores here do it.
func dataSync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
