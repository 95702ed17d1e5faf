package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/test/harness"
)

// rawConn speaks the Redis protocol by hand, so that it can also speak it wrongly.
type rawConn struct {
	tb testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func dialRaw(tb testing.TB, addr string) *rawConn {
	tb.Helper()
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	nc, err := net.DialTimeout(network, addr, harness.Patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = nc.Close() }) // it may be closed already
	if err := nc.SetDeadline(time.Now().Add(2 * harness.Patience)); err != nil {
		tb.Fatal(err)
	}
	return &rawConn{tb: tb, nc: nc, r: bufio.NewReader(nc)}
}

// replyError is an error reply.
type replyError string

// send writes a command without waiting for its reply. A connection that the daemon has closed is for read to find.
func (c *rawConn) send(args ...string) {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n", len(a))
		b = append(append(b, a...), "\r\n"...)
	}
	_, _ = c.nc.Write(b)
}

// do sends a command and gives its reply: a string, an int64, nil, a []any of those, or a replyError.
func (c *rawConn) do(args ...string) any {
	c.tb.Helper()
	c.send(args...)
	return c.must()
}

func (c *rawConn) must() any {
	c.tb.Helper()
	reply, err := c.read()
	if err != nil {
		c.tb.Fatalf("no reply: %v", err)
	}
	return reply
}

func (c *rawConn) read() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, text := line[0], strings.TrimSuffix(line[1:], "\r\n")
	switch kind {
	case '+':
		return text, nil
	case '-':
		return replyError(text), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", line, err)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		b := make([]byte, n+2)
		_, err := io.ReadFull(c.r, b)
		return string(b[:n]), err
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			if list[i], err = c.read(); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, errors.New("no such reply: " + line)
}

type info map[string]string

// infoOf asks a daemon for INFO.
func infoOf(tb testing.TB, addr string) info {
	tb.Helper()
	c := dialRaw(tb, addr)
	defer c.nc.Close() //nolint:errcheck // everything was read
	text, ok := c.do("INFO").(string)
	if !ok {
		tb.Fatal("INFO has no text")
	}
	i := info{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			i[key] = value
		}
	}
	return i
}

func (i info) number(tb testing.TB, key string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(i[key], 10, 64)
	if err != nil {
		tb.Fatalf("INFO %s: %v", key, err)
	}
	return n
}
