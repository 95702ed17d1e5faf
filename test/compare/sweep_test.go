package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/cmd/stated/bench"
)

// sampleSweep has figures for each point that follow from it.
func sampleSweep() *sweep {
	s := &sweep{Machine: "some machine", Seconds: 3, Rounds: 3}
	for _, p := range points() {
		for _, w := range sweepWorkloads {
			r := swept{point: p, Workload: w}
			for round := range 3 {
				report := bench.Report{Workload: w, Seconds: 2, PerSecond: float64(p.Clients*100 + round), Bytes: int64(p.Size) * 2000}
				report.Latency.P99 = float64(round + 1)
				report.Store = &bench.StoreReport{
					Commits: 50, MeanBatch: 4, DBBytes: int64(p.Agents * p.Size), WALBytes: 64e6, Resident: int64(20e6 + 1e6*round),
				}
				r.Reports = append(r.Reports, report)
			}
			s.Results = append(s.Results, r)
		}
	}
	return s
}

// TestPoints lets one thing grow at a time, from the same point.
func TestPoints(t *testing.T) {
	base := point{baseAgents, baseSize, baseClients}
	for _, d := range dimensions() {
		through := false
		for _, v := range d.values {
			p := d.at(v)
			through = through || p == base
			if p.Agents*p.Size > 1<<30 {
				t.Errorf("%+v fills %d bytes", p, p.Agents*p.Size)
			}
		}
		if !through {
			t.Errorf("%s does not go through %+v", d.name, base)
		}
	}
	if got := len(points()); got != 12 {
		t.Errorf("%d points, want 3 and 5 and 6, less the 2 that are the same", got)
	}
}

func TestSweep_table(t *testing.T) {
	s := sampleSweep()
	table := s.table()
	for _, want := range []string{
		"some machine.\nIn-process, durability full, agents drawn uniformly; medians of 3 rounds of 3 s",
		"\n## Agents\n\nStates of 1 KiB, 64 clients.\n\n![agents](agents.svg)\n",
		"\n## Size of a state\n\n10,000 agents (1024 of the largest), 64 clients.\n",
		"\n## Clients\n\n10,000 agents, states of 1 KiB.\n",
		"| 1,000 | saves | 100,001 (100,000 to 100,002) | 1.0 | 2.00 (1.00 to 3.00) | 25 | 4.00 | 21 (20 to 22) | 10 | 64 |\n",
		"| 1 MiB | loads | 6,401 (6,400 to 6,402) | 1,049 | 2.00 (1.00 to 3.00) |  |  | 21 (20 to 22) | 1,074 | 64 |\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("want %q in\n%s", want, table)
		}
	}
	s.Results = s.Results[1:]
	if table := s.table(); !strings.Contains(table, "| 10,000 | saves | not measured |\n") {
		t.Errorf("a point that was not measured:\n%s", table)
	}
}

// TestSweep_write draws what an earlier sweep has left.
func TestSweep_write(t *testing.T) {
	dir := t.TempDir()
	text, err := json.Marshal(sampleSweep())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "figures.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runSweep(t.Context(), options{sweep: dir, redraw: true}); err != nil {
		t.Fatal(err)
	}
	for _, d := range dimensions() {
		words := svgText(t, filepath.Join(dir, d.name+".svg"))
		for _, want := range []string{
			"Cost as work grows: " + d.axis, "Throughput", "requests a second", "Latency, 99th percentile", "milliseconds", "MB",
			"saves", "loads", "write-ahead log", "durability full", d.constant()[1:], d.label(d.values[0]),
		} {
			if !strings.Contains(words, want) {
				t.Errorf("%s: want %q in %s", d.name, want, words)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		t.Error(err)
	}
	empty := &sweep{}
	if err := empty.write(dir); err == nil {
		t.Error("a sweep that measured nothing was drawn")
	}
}

// svgText gives the words of a drawing, which has to be XML.
func svgText(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var words []string
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return strings.Join(words, "|")
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if chars, ok := token.(xml.CharData); ok && strings.TrimSpace(string(chars)) != "" {
			words = append(words, string(chars))
		}
	}
}

// TestSweep_round runs a program that notes its arguments in place of stated: each file is filled once, and the second
// round goes backwards.
func TestSweep_round(t *testing.T) {
	dir := t.TempDir()
	fake, notes := filepath.Join(dir, "stated"), filepath.Join(dir, "notes")
	script := fmt.Sprintf("#!/bin/sh\necho \"$WRAPPED $@\" >> %s\necho '{\"requests_per_second\":7,\"store\":{}}'\n", notes)
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil { //nolint:gosec // it has to run
		t.Fatal(err)
	}
	o := options{stated: fake, rounds: 2, duration: 3 * time.Second, warmup: time.Second, under: "env WRAPPED=yes"}
	s := &sweep{}
	if err := s.fill(t.Context(), o, dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.round(t.Context(), o, dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const fills, measured = 7, 24
	if len(lines) != fills+2*measured || lines[fills] != lines[len(lines)-1] {
		t.Errorf("%d runs, want %d; the first measured is\n%s, the last\n%s", len(lines), fills+2*measured, lines[fills], lines[len(lines)-1])
	}
	for i, l := range lines {
		if !strings.HasPrefix(l, "yes bench --json --db "+dir) || strings.Contains(l, "--no-fill") != (i >= fills) {
			t.Errorf("run %d: %s", i, l)
		}
	}
	want := fmt.Sprintf("yes bench --json --db %s/10000-of-1024.db --agents 10000 --size 1024B --clients 1000 --workload load --no-fill "+
		"--duration 3s --warmup 1s", dir)
	if last := lines[fills+measured-1]; last != want {
		t.Errorf("got  %s\nwant %s", last, want)
	}
	for _, r := range s.Results {
		if len(r.Reports) != 2 || r.Reports[1].PerSecond != 7 {
			t.Errorf("%+v: %+v", r.point, r.Reports)
		}
	}
	o.stated = "/nonexistent"
	if err := s.fill(t.Context(), o, dir); err == nil {
		t.Error("a program that is not there: no error")
	}
}

func TestNiceTicks(t *testing.T) {
	for _, tc := range []struct {
		low, high float64
		want      string
	}{
		{10, 200, "10 20 50 100 200"},
		{0.05, 2, "0.05 0.1 0.2 0.5 1 2"},
		{1, 10_000, "1   10   100   1,000   10,000"},
	} {
		var labels []string
		for _, tick := range niceTicks(tc.low, tc.high) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != tc.want {
			t.Errorf("%v to %v: got %q, want %q", tc.low, tc.high, got, tc.want)
		}
	}
	for v, want := range map[float64][2]float64{7: {5, 10}, 1: {1, 1}, 0.3: {0.2, 0.5}, 2345: {2000, 5000}, 99: {50, 100}} {
		if low, high := niceBelow(v), niceAbove(v); low != want[0] || high != want[1] {
			t.Errorf("%v: got %v and %v, want %v", v, low, high, want)
		}
	}
}
