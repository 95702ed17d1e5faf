package store

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// recordLocks gives the POSIX locks on a file, as the kernel tells them
// (https://man7.org/linux/man-pages/man5/proc_locks.5.html); open file description locks have no process. What cannot be
// read counts as none.
func recordLocks(file os.FileInfo) []recordLock {
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	var locks []recordLock
	for line := range strings.Lines(string(text)) {
		// 1: POSIX  ADVISORY  READ 4446 fe:00:9977867 1073741826 1073742335
		f := strings.Fields(line)
		if len(f) < 8 || f[5] != inode || f[1] != "POSIX" {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil {
			continue
		}
		first, _ := strconv.ParseInt(f[6], 10, 64)
		last, err := strconv.ParseInt(f[7], 10, 64)
		if err != nil { // EOF
			last = math.MaxInt64
		}
		locks = append(locks, recordLock{pid: pid, first: first, last: last})
	}
	return locks
}

// opener gives the process id of a program that has the file open, this one too, 0 for none: the file at path, or the one
// that was there when this process opened it, which does not count itself. Without root's rights it sees the programs of
// its own user alone.
func opener(path string, was *os.File) int {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	name, own := path, ""
	var file os.FileInfo
	if was != nil {
		name, own = path+" (deleted)", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), was.Fd())
		if file, err = was.Stat(); err != nil {
			return 0
		}
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != name || link == own {
			continue
		}
		if info, err := os.Stat(link); was != nil && (err != nil || !os.SameFile(info, file)) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			return pid
		}
	}
	return 0
}
