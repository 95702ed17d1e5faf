package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is a running program that speaks the Redis protocol.
type server struct {
	name string
	port string
	cmd  *exec.Cmd
	log  string // the file that holds its output
	gone chan error
}

// programs of servers. Where redis-server or redis-benchmark is missing, its path is empty.
type programs struct {
	stated, redis, benchmark string
}

func findPrograms(ctx context.Context, dir, statedBinary string) (programs, error) {
	var p programs
	p.redis, _ = exec.LookPath("redis-server") // told in the report
	p.benchmark, _ = exec.LookPath("redis-benchmark")
	if p.benchmark == "" {
		return p, nil
	}
	if p.stated = statedBinary; p.stated != "" {
		return p, nil
	}
	var err error
	p.stated, err = buildStated(ctx, dir)
	return p, err
}

// buildStated builds the program from this tree, and gives its file in dir.
func buildStated(ctx context.Context, dir string) (file string, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/stated/stated").Output()
	if err != nil {
		return "", fmt.Errorf("where the module of stated is (run it in its folder, or name the binary with -stated): %w", err)
	}
	file = filepath.Join(dir, "daemon")
	build := exec.CommandContext(ctx, "go", "build", "-o", file, "./cmd/stated")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
}

// start runs a server on the file or folder, and waits until it answers.
func (p programs) start(ctx context.Context, name, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{name: name, port: port, log: filepath.Join(dir, "server.log"), gone: make(chan error, 1)}
	switch name {
	case redis:
		s.cmd = exec.CommandContext(ctx, p.redis, "--port", port, "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	case stated:
		s.cmd = exec.CommandContext(ctx, p.stated, "serve", "--db", filepath.Join(dir, statedFile),
			"--redis", "127.0.0.1:"+port, "--http", "")
	default:
		return nil, fmt.Errorf("no server is called %q", name)
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child writes to its own descriptor
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.gone <- s.cmd.Wait() }()
	if err := s.awaitPing(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// freePort gives a port of the loopback that nobody listened on a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // it carried nothing
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// awaitPing asks until the server answers that it is ready. Redis says LOADING while it reads its file.
func (s *server) awaitPing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if s.ping() == nil {
			tick.Stop()
			return nil
		}
		select {
		case err := <-s.gone:
			s.gone <- err
			return fmt.Errorf("%s ended: %w: see %s", s.name, err, s.log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", s.name, ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *server) ping() error {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it has served
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "+PONG\r\n" {
		err = fmt.Errorf("it says %q", line)
	}
	return err
}

// stop ends the server as an init system does, and waits.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := <-s.gone; err != nil {
		return fmt.Errorf("%s: %w: see %s", s.name, err, s.log)
	}
	return nil
}
