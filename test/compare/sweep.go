package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stated/stated/cmd/stated/bench"
)

// sweep measures stated alone, by `stated bench`, as one thing grows while the others stay.
type sweep struct {
	Machine string
	Seconds float64
	Rounds  int
	Results []swept
}

// swept is one point of a sweep, with the reports of its rounds.
type swept struct {
	point
	Workload bench.Workload
	Reports  []bench.Report
}

// point is what a sweep measures at.
type point struct{ Agents, Size, Clients int }

// dimension is what grows, and through which values.
type dimension struct {
	name   string
	axis   string
	values []int
	at     func(value int) point
	label  func(value int) string
}

// Where nothing else is said.
const baseAgents, baseSize, baseClients = 10_000, stateBytes, 64

// mostFilled bounds what the agents of one point hold, so that the large ones do not take an hour to fill.
const mostFilled = 1 << 30

func dimensions() []dimension {
	count := func(n int) string { return thousands(float64(n)) }
	return []dimension{
		{"agents", "agents", []int{10_000, 100_000, 1_000_000}, func(n int) point { return point{n, baseSize, baseClients} }, count},
		{"size", "size of a state", []int{100, 1 << 10, 10 << 10, 100 << 10, 1 << 20},
			func(n int) point { return point{min(baseAgents, mostFilled/n), n, baseClients} },
			func(n int) string { return bench.Size{Least: n, Most: n}.String() }},
		{"clients", "clients", []int{1, 4, 16, 64, 256, 1000}, func(n int) point { return point{baseAgents, baseSize, n} }, count},
	}
}

var sweepWorkloads = []bench.Workload{bench.Save, bench.Load}

// points gives those of all dimensions, each once.
func points() []point {
	var all []point
	for _, d := range dimensions() {
		for _, v := range d.values {
			if p := d.at(v); !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// runSweep measures, and writes the figures, the table and the plots into the folder of the options.
func runSweep(ctx context.Context, o options) (err error) {
	figures := filepath.Join(o.sweep, "figures.json")
	if o.redraw {
		s, err := readSweep(figures)
		if err != nil {
			return err
		}
		return s.write(o.sweep)
	}
	dir, err := scratch(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	facts, err := machine(dir)
	if err != nil {
		return err
	}
	progress("%s", facts)
	if o.stated == "" {
		if o.stated, err = buildStated(ctx, dir); err != nil {
			return err
		}
	}
	s := &sweep{Machine: facts, Seconds: o.duration.Seconds()}
	if err := s.fill(ctx, o, dir); err != nil {
		return err
	}
	for range o.rounds {
		if err := s.round(ctx, o, dir); err != nil {
			return err
		}
		if err := s.save(figures); err != nil {
			return err
		}
	}
	return s.write(o.sweep)
}

// save keeps the figures, so that -redraw has them.
func (s *sweep) save(file string) error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // it is for everybody to read
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // likewise
}

func readSweep(file string) (*sweep, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &sweep{}
	return s, json.Unmarshal(text, s)
}

// fill makes the files. Points that differ in the clients alone share one.
func (s *sweep) fill(ctx context.Context, o options, dir string) error {
	for _, p := range points() {
		for _, w := range sweepWorkloads {
			s.Results = append(s.Results, swept{point: p, Workload: w})
		}
		if p.Clients != baseClients {
			continue
		}
		progress("fill %d agents of %d bytes", p.Agents, p.Size)
		if _, err := p.bench(ctx, o, dir, "--requests", "1", "--warmup", "0s"); err != nil {
			return err
		}
	}
	return nil
}

// round goes through all points, every other time backwards.
func (s *sweep) round(ctx context.Context, o options, dir string) error {
	for i := range s.Results {
		if s.Rounds%2 == 1 {
			i = len(s.Results) - 1 - i
		}
		r := &s.Results[i]
		report, err := r.bench(ctx, o, dir, "--workload", string(r.Workload), "--no-fill",
			"--duration", o.duration.String(), "--warmup", o.warmup.String())
		if err != nil {
			return err
		}
		r.Reports = append(r.Reports, report)
		progress("round %d of %d: %s, %d agents, %d bytes, %d clients: %s/s", s.Rounds+1, o.rounds, r.Workload, r.Agents, r.Size,
			r.Clients, thousands(report.PerSecond))
	}
	s.Rounds++
	return nil
}

// bench runs `stated bench` in-process, on the file with these agents.
func (p point) bench(ctx context.Context, o options, dir string, args ...string) (r bench.Report, err error) {
	file := filepath.Join(dir, fmt.Sprintf("%d-of-%d.db", p.Agents, p.Size))
	argv := append(strings.Fields(o.under), o.stated, "bench", "--json", "--db", file, "--agents", strconv.Itoa(p.Agents),
		"--size", fmt.Sprintf("%dB", p.Size), "--clients", strconv.Itoa(p.Clients))
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], args...)...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that it removes what is temporary
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%q: %w: %s", cmd.Args, err, complaints.String())
	}
	return r, json.Unmarshal(out, &r)
}

// find gives the result of a point.
func (s *sweep) find(p point, w bench.Workload) *swept {
	i := slices.IndexFunc(s.Results, func(r swept) bool { return r.point == p && r.Workload == w })
	if i < 0 {
		return &swept{point: p, Workload: w}
	}
	return &s.Results[i]
}

// spread is that of one figure over the rounds.
func (r *swept) spread(figure func(*bench.Report) float64) spread {
	values := make([]float64, len(r.Reports))
	for i := range r.Reports {
		values[i] = figure(&r.Reports[i])
	}
	return spreadOf(values)
}

// What a sweep shows of a report.
func sweptPerSecond(r *bench.Report) float64 { return r.PerSecond }
func sweptP99(r *bench.Report) float64       { return r.Latency.P99 }
func sweptBytes(r *bench.Report) float64     { return float64(r.Bytes) / max(r.Seconds, 1e-9) }
func sweptBatch(r *bench.Report) float64     { return r.Store.MeanBatch }
func sweptCommits(r *bench.Report) float64   { return float64(r.Store.Commits) / max(r.Seconds, 1e-9) }
func sweptResident(r *bench.Report) float64  { return float64(r.Store.Resident) }
func sweptDB(r *bench.Report) float64        { return float64(r.Store.DBBytes) }
func sweptWAL(r *bench.Report) float64       { return float64(r.Store.WALBytes) }
