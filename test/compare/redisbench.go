package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// redisLoad is one run of redis-benchmark. The same arguments go to every server.
type redisLoad struct {
	Get      bool
	Clients  int
	Pipeline int
	Agents   int
	Requests int
	State    []byte
}

func (l redisLoad) args(port string) []string {
	args := []string{
		"-p", port, "-c", strconv.Itoa(l.Clients), "-n", strconv.Itoa(l.Requests), "-r", strconv.Itoa(l.Agents),
		"-P", strconv.Itoa(max(1, l.Pipeline)), "--csv",
	}
	if l.Get {
		return append(args, "GET", "agent:__rand_int__")
	}
	return append(args, "SET", "agent:__rand_int__", string(l.State))
}

// run drives the server and gives what redis-benchmark says. An error reply, which redis-benchmark would count as one
// more request, fails it.
func (l redisLoad) run(ctx context.Context, benchmark string, s *server) (sample, error) {
	cmd := exec.CommandContext(ctx, benchmark, l.args(s.port)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	for _, out := range []string{stdout.String(), stderr.String()} {
		if i := strings.Index(out, "Error from server"); i >= 0 {
			line, _, _ := strings.Cut(out[i:], "\n")
			return sample{}, fmt.Errorf("%s: %s", s.name, line)
		}
	}
	if err != nil {
		return sample{}, fmt.Errorf("redis-benchmark against %s: %w: %s", s.name, err, stderr.String())
	}
	out, err := parseCSV(stdout.String())
	out.Acked = int64(l.Requests)
	return out, err
}

// warmupRequests take half a second or less.
const warmupRequests = 20_000

// runFor warms up, and then sends as many requests as should take d.
func (l redisLoad) runFor(ctx context.Context, d time.Duration, benchmark string, s *server) (sample, error) {
	l.Requests = warmupRequests
	warm, err := l.run(ctx, benchmark, s)
	if err != nil {
		return sample{}, err
	}
	l.Requests = max(1000, int(warm.PerSecond*d.Seconds()))
	before := cpuTimeOf(s.cmd.Process.Pid)
	out, err := l.run(ctx, benchmark, s)
	out.CPU = (cpuTimeOf(s.cmd.Process.Pid) - before) / time.Duration(l.Requests)
	return out, err
}

// csvFields are the columns behind the test's name.
const csvFields = `","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"`

// parseCSV reads what redis-benchmark --csv prints. It does not quote the quotes in a test's name, which is the whole
// command, so the columns are counted from the end of the line.
func parseCSV(out string) (sample, error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], csvFields) {
		return sample{}, fmt.Errorf("redis-benchmark printed no table: %q", out)
	}
	columns := strings.Split(strings.Trim(lines[1], `"`), `","`)
	if len(columns) < 8 {
		return sample{}, fmt.Errorf("redis-benchmark printed %q", lines[1])
	}
	columns = columns[len(columns)-7:]
	var numbers [7]float64
	for i, c := range columns {
		n, err := strconv.ParseFloat(c, 64)
		if err != nil {
			return sample{}, fmt.Errorf("redis-benchmark printed %q: %w", lines[1], err)
		}
		numbers[i] = n
	}
	millis := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	return sample{PerSecond: numbers[0], P50: millis(numbers[3]), P99: millis(numbers[5]), Max: millis(numbers[6])}, nil
}
