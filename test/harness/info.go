package harness

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Info is what a daemon's INFO says, by key.
type Info map[string]string

// Info asks the daemon, on a connection of its own.
func (d *Daemon) Info(tb testing.TB) Info {
	tb.Helper()
	c := d.Connect(tb)
	defer c.Close() //nolint:errcheck // everything was read
	if _, err := c.Write([]byte("INFO\r\n")); err != nil {
		tb.Fatal(err)
	}
	r := bufio.NewReader(c)
	head, err := r.ReadString('\n')
	if err != nil {
		tb.Fatalf("INFO: %v", err)
	}
	size, err := strconv.Atoi(strings.Trim(head, "$\r\n"))
	if err != nil {
		tb.Fatalf("INFO says %q", head)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		tb.Fatalf("INFO: %v", err)
	}
	i := Info{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			i[key] = value
		}
	}
	return i
}

// Connect opens a bare connection to the daemon. It is closed at the end of the test at the latest.
func (d *Daemon) Connect(tb testing.TB) net.Conn {
	tb.Helper()
	network, addr := "tcp", d.Addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	c, err := net.DialTimeout(network, addr, Patience)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(2 * Patience))
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() }) // it may be closed already
	return c
}

// Number gives a value that has to be there and to be a number.
func (i Info) Number(tb testing.TB, key string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(i[key], 10, 64)
	if err != nil {
		tb.Fatalf("INFO %s: %v", key, err)
	}
	return n
}
