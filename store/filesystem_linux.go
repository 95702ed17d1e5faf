package store

import "golang.org/x/sys/unix"

// readOnlyFileSystem reports whether the file system that path is on cannot be written. A kernel from 6.15 on does not say
// so of one that it has stopped writing to after an error; there, an fsync fails.
func readOnlyFileSystem(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Flags&unix.ST_RDONLY != 0
}

// networkFileSystems are those where SQLite's locks and the shared memory of its log are not reliable
// (https://www.sqlite.org/wal.html), by their numbers in statfs(2).
var networkFileSystems = map[int64]string{
	unix.NFS_SUPER_MAGIC:   "nfs",
	unix.SMB_SUPER_MAGIC:   "smb",
	unix.SMB2_SUPER_MAGIC:  "smb2",
	unix.CIFS_SUPER_MAGIC:  "cifs",
	unix.V9FS_MAGIC:        "9p",
	unix.AFS_SUPER_MAGIC:   "afs",
	unix.CODA_SUPER_MAGIC:  "coda",
	unix.CEPH_SUPER_MAGIC:  "ceph",
	unix.FUSE_SUPER_MAGIC:  "fuse",
	unix.OCFS2_SUPER_MAGIC: "ocfs2",
}

// networkFileSystem names the file system that path is on, if it is one of another machine.
func networkFileSystem(path string) string {
	var stat unix.Statfs_t
	if unix.Statfs(path, &stat) != nil {
		return ""
	}
	return networkFileSystems[int64(stat.Type)] //nolint:unconvert // its type differs between systems
}
