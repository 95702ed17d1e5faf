package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// syncCount is what strace saw of one system: how many syncs stood against how many acknowledged saves.
type syncCount struct {
	peer    string
	clients int
	acked   int64
	syncs   int64
}

// straceArgs counts the calls that bring data to the disk, in every thread.
func straceArgs(strace, file string) []string {
	return []string{strace, "-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", file}
}

// countSyncs runs each system briefly under strace, with one caller and with 64.
func (c *comparison) countSyncs(ctx context.Context) ([]syncCount, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, errNotInstalled
	}
	var out []syncCount
	for _, peer := range []string{stated, naive, bbolt, pebble, redka, bareDriver, bareSQL} {
		for _, clients := range []int{1, 64} {
			if !c.wanted(peer) || clients > 1 && (peer == bareDriver || peer == bareSQL) {
				continue
			}
			n, err := c.countInProcess(ctx, strace, peer, clients)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
	}
	for _, name := range []string{stated, redis} {
		for _, clients := range []int{1, 64} {
			if c.servers[name] == nil {
				continue
			}
			n, err := c.countServer(ctx, strace, name, clients)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
	}
	return out, nil
}

// countInProcess takes off what opening and closing alone cost.
func (c *comparison) countInProcess(ctx context.Context, strace, peer string, clients int) (syncCount, error) {
	progress("counting syncs: %s, %s", peer, callers(clients))
	if err := c.fill(ctx, peer, c.folder(peer), c.options.agents, 64); err != nil {
		return syncCount{}, err
	}
	file := filepath.Join(c.dir, "strace.txt")
	count := func(d time.Duration) (int64, int64, error) {
		s := c.spec(peer, doSave, clients, 0, 0)
		s.Warmup, s.Duration = 0, d
		sample, err := s.run(ctx, straceArgs(strace, file)...)
		if err != nil {
			return 0, 0, err
		}
		n, err := readStrace(file)
		return sample.Acked, n, err
	}
	_, around, err := count(0)
	if err != nil {
		return syncCount{}, err
	}
	acked, syncs, err := count(time.Second)
	return syncCount{peer, clients, acked, syncs - around}, err
}

// countServer attaches strace to a running server.
func (c *comparison) countServer(ctx context.Context, strace, name string, clients int) (_ syncCount, err error) {
	progress("counting syncs: %s over TCP, %d connections", name, clients)
	s, file := c.servers[name], filepath.Join(c.dir, "strace.txt")
	args := append(straceArgs(strace, file), "-p", strconv.Itoa(s.cmd.Process.Pid))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return syncCount{}, err
	}
	if err := cmd.Start(); err != nil {
		return syncCount{}, err
	}
	said := make([]byte, 64) // "strace: Process 123 attached"
	_, readErr := stderr.Read(said)
	go io.Copy(io.Discard, stderr) //nolint:errcheck // it ends with the process
	load := redisLoad{Clients: clients, Agents: c.options.agents, Requests: 300 * clients, State: newState(seeded(0))}
	_, err = load.run(ctx, c.programs.benchmark, s)
	err = errors.Join(readErr, err, cmd.Process.Signal(syscall.SIGINT))
	if waitErr := cmd.Wait(); waitErr != nil && cmd.ProcessState.ExitCode() > 0 {
		err = errors.Join(err, waitErr)
	}
	if err != nil {
		return syncCount{}, fmt.Errorf("strace of %s: %w: %s", name, err, said)
	}
	n, err := readStrace(file)
	return syncCount{name + " over TCP", clients, int64(load.Requests), n}, err
}

// straceLine is a row of strace's summary: % time, seconds, usecs/call, calls, errors if any, name.
var straceLine = regexp.MustCompile(`(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(fsync|fdatasync|sync_file_range|msync)$`)

func readStrace(file string) (int64, error) {
	summary, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return parseStrace(string(summary)), nil
}

func parseStrace(summary string) (n int64) {
	for _, row := range straceLine.FindAllStringSubmatch(summary, -1) {
		calls, _ := strconv.ParseInt(row[1], 10, 64) // digits, by the expression
		n += calls
	}
	return n
}

func writeSyncs(w *strings.Builder, counts []syncCount, err error) {
	fmt.Fprint(w, "\n## Syncs\n\n")
	if err != nil {
		fmt.Fprintf(w, "Not counted: strace is %v.\n", err)
		return
	}
	fmt.Fprint(w, "Counted by strace in short runs. With one caller each acknowledged save needs a sync of its own; many callers can share one.\n\n")
	fmt.Fprint(w, "| system | callers | saves acknowledged | syncs | syncs a save |\n|---|---:|---:|---:|---:|\n")
	for _, c := range counts {
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s |\n", c.peer, c.clients, thousands(float64(c.acked)), thousands(float64(c.syncs)),
			plain(float64(c.syncs)/float64(max(1, c.acked))))
	}
}
