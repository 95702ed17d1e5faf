package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSpreadOf(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{4, 1, 2, 100}, spread{3, 1, 100}},
	} {
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("spreadOf(%v): got %+v, want %+v", tt.values, got, tt.want)
		}
	}
}

// TestRatios divides within each round: the median of the ratios is not the ratio of the medians.
func TestRatios(t *testing.T) {
	a := []sample{{PerSecond: 10}, {PerSecond: 40}, {PerSecond: 90}}
	b := []sample{{PerSecond: 10}, {PerSecond: 10}, {PerSecond: 100}}
	if got, want := spreadOf(ratios(a, b, perSecond)), (spread{1, 0.9, 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSample_mean(t *testing.T) {
	if got, want := (sample{PerSecond: 4000}).mean(), 250*time.Microsecond; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{thousands(0), "0"},
		{thousands(999.6), "1,000"},
		{thousands(1234567), "1,234,567"},
		{plain(0.7), "0.70"},
		{plain(15.04), "15.0"},
		{millis(1.5e6), "1.50"},
		{millis(2500), "0.0025"},
		{megabytes(200e6), "200 MB"},
		{formatSpread(spread{2, 1, 3}, plain), "2.00 (1.00 to 3.00)"},
		{formatSpread(spread{2, 2, 2}, plain), "2.00"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestWriteTargets(t *testing.T) {
	results := map[string]map[string][]sample{
		saves64: {
			stated: {{PerSecond: 30_000, P99: 5 * time.Millisecond}, {PerSecond: 32_000, P99: 8 * time.Millisecond}},
			naive:  {{PerSecond: 2_000}, {PerSecond: 1_600}},
			pebble: {{PerSecond: 50_000, P99: 4 * time.Millisecond}, {PerSecond: 50_000, P99: 4 * time.Millisecond}},
		},
		saves256: {stated: {{PerSecond: 40_000}}, pebble: {{PerSecond: 50_000}}},
		saves1: {
			stated:     {{PerSecond: 4_000, P50: 3}, {PerSecond: 4_000, P50: 3}},
			bareDriver: {{PerSecond: 5_000, P50: 2}, {PerSecond: 5_000, P50: 2}},
		},
		largeResident: {stated: {{Bytes: 150e6}, {Bytes: 190e6}}},
	}
	var out strings.Builder
	writeTargets(&out, results)
	for _, want := range []string{
		"| in-process saves, 64 goroutines : naive pattern | ≥ 15.0 | 17.5 (15.0 to 20.0) | met |",
		"| in-process saves, 64 goroutines : Pebble Set Sync | ≥ 0.70 | 0.62 (0.60 to 0.64) | missed |",
		"| p99 of in-process saves, 64 goroutines : Pebble's p99 | ≤ 1.00 | 1.62 (1.25 to 2.00) | missed |",
		"| one caller's save : one bare fsynced commit, mean time | ≤ 1.30 | 1.25 | met |",
		"| one caller's save : one bare fsynced commit, median time | ≤ 1.30 | 1.50 | missed |",
		"| in-process saves, 256 goroutines : Pebble Set Sync |  | 0.80 |  |",
		"| resident memory of the daemon, 1,000,000 agents of 1 KiB under load | ≤ 200 MB | 170 MB (150 MB to 190 MB) | met |",
		"| daemon GET, 64 connections : Redis GET | ≥ 0.80 | | not measured |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

// TestWriteMeasure wants what is missing and what failed to be told.
func TestWriteMeasure(t *testing.T) {
	m := measure{id: set64, title: "SET", unit: "saves/s", peers: []string{stated, naive, redis}}
	c := &comparison{results: map[string]map[string][]sample{set64: {
		stated: {{PerSecond: 100, P50: time.Millisecond, P99: 2 * time.Millisecond, Max: 3 * time.Millisecond, CPU: 20 * time.Microsecond}},
		naive:  {{PerSecond: 50, Failed: 7, FirstError: "locked"}},
	}}}
	var out strings.Builder
	c.writeMeasure(&out, m)
	for _, want := range []string{
		"| stated | 100 | 1.00 | 2.00 | 3.00 | 20.0 | 0 | 1 |",
		"| naive pattern | 50 | 0.0000 | 0.0000 | 0.0000 | 0.0 | 7 | 2.00 |",
		"| Redis | not installed |",
		"naive pattern failed with: locked",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestTargets wants every target to refer to a measure that the plan has.
func TestTargets(t *testing.T) {
	c := &comparison{options: options{large: true, agents: 1, largeAgents: 1}, results: map[string]map[string][]sample{}}
	c.plan()
	for _, m := range c.measures {
		for _, p := range m.peers {
			c.keep(m.id, p, sample{PerSecond: 1, Bytes: 1})
		}
	}
	for _, target := range targets {
		if len(target.values(c.results)) != 1 {
			t.Errorf("nothing measures %q", target.name)
		}
	}
}

func TestParseCSV(t *testing.T) {
	out := `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"SET agent:__rand_int__ {"a":"b","c":"d"}","33900.50","0.599","0.152","0.463","1.271","2.327","4.487"
`
	got, err := parseCSV(out)
	want := sample{PerSecond: 33900.5, P50: 463 * time.Microsecond, P99: 2327 * time.Microsecond, Max: 4487 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", out[:40], strings.Replace(out, "33900.50", "many", 1), strings.Replace(out, "p99", "p98", 1)} {
		if got, err := parseCSV(bad); err == nil {
			t.Errorf("parseCSV(%q): got %+v, want an error", bad, got)
		}
	}
}

func TestParseStrace(t *testing.T) {
	summary := `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.11    0.100000          10      1201           fdatasync
  9.89    0.010000         100         3         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.110000          10      1204         1 total
`
	if got, want := parseStrace(summary), int64(1204); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if got := parseStrace(""); got != 0 {
		t.Errorf("of nothing: got %d, want 0", got)
	}
}

func TestParseStat(t *testing.T) {
	const stat = "4711 (redis (x) server) S 1 4711 4711 0 -1 4194560 1 2 3 4 123 77 5 6 20 0 5 0 1000 1 2"
	if got, want := parseStat(stat), 2*time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := parseStat(""); got != 0 {
		t.Errorf("of nothing: got %v, want 0", got)
	}
}

func TestFileSystemIn(t *testing.T) {
	const table = `22 28 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:22 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw
24 22 0:23 / /srv/my\040disk rw shared:3 - xfs /dev/vdb rw
`
	for path, want := range map[string][2]string{
		"/home/x":        {"ext4", "/"},
		"/tmp":           {"tmpfs", "/tmp"},
		"/tmp/a/b":       {"tmpfs", "/tmp"},
		"/tmpfiles":      {"ext4", "/"},
		"/srv/my disk/a": {"xfs", "/srv/my disk"},
	} {
		if kind, mount := fileSystemIn(table, path); [2]string{kind, mount} != want {
			t.Errorf("%s: got %s at %s, want %v", path, kind, mount, want)
		}
	}
}

// TestNewState wants JSON of the right length, that is not the same each time.
func TestNewState(t *testing.T) {
	r := seeded(1)
	seen := map[string]bool{}
	for range 1000 {
		state := newState(r)
		if len(state) != stateBytes || !json.Valid(state) {
			t.Fatalf("%d bytes: %s", len(state), state)
		}
		seen[string(state)] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1,000 states differ", len(seen))
	}
}
