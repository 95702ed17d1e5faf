//go:build !linux

package store

import "golang.org/x/sys/unix"

const setLock = unix.F_SETLK
