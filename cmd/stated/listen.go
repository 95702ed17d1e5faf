package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// listener is an address where a front end serves.
type listener struct {
	net.Listener
	front string
	tls   bool
}

// socketMode lets the owner and the group connect.
const socketMode = 0o660

// listen binds the addresses of a front end, on TCP with the certificate if there is one. What was bound is given back
// also when one of them fails.
func listen(ctx context.Context, front string, addresses []string, cert *certificate) (bound []listener, err error) {
	for _, addr := range addresses {
		l, err := bind(ctx, front, addr)
		if err != nil {
			return bound, err
		}
		secure := cert != nil && l.Addr().Network() == "tcp"
		if secure {
			l = tls.NewListener(l, cert.serverConfig())
		}
		bound = append(bound, listener{l, front, secure})
	}
	return bound, nil
}

// bind listens on host:port, or unix:/path. A socket that a daemon left behind when it was killed is replaced; one on
// which somebody may still listen, or anything that is no socket, is not.
func bind(ctx context.Context, front, addr string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	var config net.ListenConfig
	if !isUnix {
		l, err := config.Listen(ctx, network(addr), addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("cannot listen on %s: %w (is another daemon running? name another address with --%s)", addr, cause(err), front)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", addr, cause(err))
		}
		return l, nil
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, cause(err))
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// network has 0.0.0.0 mean what it says: with "tcp" Go would listen on all IPv6 addresses too.
func network(addr string) string {
	if ap, err := netip.ParseAddrPort(addr); err == nil && ap.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return usagef("%s exists and is not a socket", path)
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%s is in use by another process", path), c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // a full queue, say, or another owner: somebody may be there
		return fmt.Errorf("cannot listen on unix:%s: it exists and cannot be asked (%w): name another path, or remove it if nobody uses it",
			path, cause(err))
	}
	return os.Remove(path)
}

// cause gives what the system said, without what the message says already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func splitAddr(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, ""
	}
	return host, port
}

// exposed reports whether clients on other machines can reach a listener.
func (l listener) exposed() bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return ok && !addr.IP.IsLoopback()
}
