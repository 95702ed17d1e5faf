package store

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// othersUse reports whether a program without stated has the database open: a connection to a database in WAL mode
// holds a record lock on the file from its first statement on, also while it waits for the write lock. The kernel tells
// who holds one (https://man7.org/linux/man-pages/man5/proc_locks.5.html); the file itself is not touched. What cannot be
// read counts as nobody.
func othersUse(db os.FileInfo) bool {
	stat, ok := db.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	self := strconv.Itoa(os.Getpid())
	for line := range strings.Lines(string(locks)) {
		// 1: POSIX  ADVISORY  READ 4446 fe:00:9977867 1073741826 1073742335
		f := strings.Fields(line)
		if len(f) > 5 && f[5] == file && f[1] == "POSIX" && f[4] != self {
			return true
		}
	}
	return false
}
