package store

import "testing"

// TestNetworkFileSystem: the numbers are those that file systems give themselves, and a local disk is none of them.
func TestNetworkFileSystem(t *testing.T) {
	for magic, want := range map[int64]string{
		0x6969: "nfs", 0xfe534d42: "smb2", 0xff534d42: "cifs", 0x01021997: "9p", 0x65735546: "fuse", // statfs(2)
		0xef53: "", 0x01021994: "", 0x58465342: "", 0x9123683e: "", // ext4, tmpfs, xfs, btrfs
	} {
		if got := networkFileSystems[magic]; got != want {
			t.Errorf("0x%x is %q, want %q", magic, got, want)
		}
	}
	if got := networkFileSystem(t.TempDir()); got != "" {
		t.Errorf("the folder of this test is on %q", got)
	}
}
