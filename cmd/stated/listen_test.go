package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket is taken away only when the system says that nobody listens on it. Whatever else a connection fails by, such
// as a full queue, another owner or another kind of socket, somebody may be there.
func TestListen_SocketThatCannotBeAsked(t *testing.T) {
	dir, err := os.MkdirTemp("", "stated") // short: a socket's path has a limit that t.TempDir may exceed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "s")
	other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // nothing was sent
	before, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := listen(t.Context(), frontRedis, []string{"unix:" + path}, nil)
	if err == nil {
		t.Errorf("listening on a socket of another process succeeded")
	}
	for _, l := range bound {
		defer l.Close() //nolint:errcheck // it should not be there
	}
	if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("the socket of another process was replaced: %v", err)
	}
}

// TestBind_IPv4: 0.0.0.0 is no IPv6 address.
func TestBind_IPv4(t *testing.T) {
	for addr, want := range map[string]string{"0.0.0.0:0": "0.0.0.0:", "127.0.0.1:0": "127.0.0.1:", ":0": "[::]:"} {
		l, err := bind(t.Context(), frontHTTP, addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Addr().String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: listening on %s", addr, got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
