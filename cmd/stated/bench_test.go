package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/cmd/stated/bench"
	"github.com/stated/stated/config"
)

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "500": 500, "10k": 10_000, "1M": 1_000_000, "1000000000000": 1e12,
		"": 0, "0": 0, "-1": 0, "k": 0, "1K": 0, "1.5M": 0, "10 k": 0, "1e3": 0, "1000000000001": 0, "9223372036854775808": 0,
	} {
		n, err := parseCount("--agents", text)
		var usage usageError
		if want == 0 && (!errors.As(err, &usage) || !strings.Contains(err.Error(), "--agents")) {
			t.Errorf("%q: got %d, %v, want an error of usage", text, n, err)
		}
		if n != want || want > 0 && err != nil {
			t.Errorf("%q: got %d, %v, want %d", text, n, err, want)
		}
	}
}

func TestParseSizes(t *testing.T) {
	for text, want := range map[string]bench.Size{
		"100B": {Least: 100, Most: 100}, "1KiB": {Least: 1024, Most: 1024}, "100B-64KiB": {Least: 100, Most: 64 << 10},
		"": {}, "x": {}, "1KiB-": {}, "-1KiB": {}, "1KiB-2KiB-3KiB": {},
	} {
		got, err := parseSizes(text)
		if got != want || (err == nil) != (want != bench.Size{}) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// TestBenchFlags reads what the flags say, and refuses what does not go together.
func TestBenchFlags(t *testing.T) {
	sound := benchFlags{workload: "save", agents: "10k", size: "1KiB", skew: "uniform"}
	sound.Options = bench.Options{Clients: 1, Pipeline: 1, Ops: 1, Duration: time.Second}
	c := config.Config{}
	c.Timeouts.Request, c.Limits.StateBytes = 30*time.Second, 8<<20
	for name, tc := range map[string]struct {
		change func(*benchFlags, *benchTarget)
		want   string // in the error; empty: it is in order
	}{
		"as they are":            {func(*benchFlags, *benchTarget) {}, ""},
		"a skew":                 {func(f *benchFlags, _ *benchTarget) { f.skew = "1.1" }, ""},
		"no skew":                {func(f *benchFlags, _ *benchTarget) { f.skew = "0" }, "--skew"},
		"a skew that is none":    {func(f *benchFlags, _ *benchTarget) { f.skew = "much" }, "--skew"},
		"NaN":                    {func(f *benchFlags, _ *benchTarget) { f.skew = "NaN" }, "skew NaN"},
		"requests":               {func(f *benchFlags, _ *benchTarget) { f.requests = "x" }, "--requests"},
		"pipeline by HTTP":       {func(f *benchFlags, to *benchTarget) { f.Pipeline, to.http = 2, "http://a" }, "--pipeline"},
		"pipeline by RESP":       {func(f *benchFlags, to *benchTarget) { f.Pipeline, to.addr = 2, "a:1" }, ""},
		"no fill":                {func(f *benchFlags, _ *benchTarget) { f.NoFill = true }, "--no-fill"},
		"no fill of a file":      {func(f *benchFlags, to *benchTarget) { f.NoFill, to.db = true, "a.db" }, ""},
		"above the limit":        {func(f *benchFlags, _ *benchTarget) { f.size = "9MiB" }, "limits.state_bytes"},
		"above ours by a daemon": {func(f *benchFlags, to *benchTarget) { f.size, to.addr = "9MiB", "a:1" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, to := sound, benchTarget{}
			tc.change(&f, &to)
			o, err := f.options(c, &to)
			if tc.want == "" && (err != nil || o.Agents != 10_000 || o.Timeout != 30*time.Second) {
				t.Errorf("got %+v, %v", o, err)
			}
			if tc.want != "" && (err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want an error of usage with %q", err, tc.want)
			}
		})
	}
}

// TestDescribeBench shows the live line, one text after the other.
func TestDescribeBench(t *testing.T) {
	var out bytes.Buffer
	l := &progress{out: &out, what: "bench", now: time.Now}
	for _, c := range []struct {
		step bench.Progress
		want string
	}{
		{bench.Progress{Phase: "filling", Done: 6144, Total: 20480, Rate: 6144.4, Passed: time.Second}, "bench  filling   1 s  30%  6144/s"},
		{bench.Progress{Phase: "measuring", Done: 7, Rate: 123456.7, Passed: 12 * time.Second, Errors: 3}, "bench  measuring  12 s  123457/s  3 errors"},
		{bench.Progress{Phase: "warming up", Passed: time.Second}, "bench  warming up   1 s  0/s"},
	} {
		l.show(describeBench(c.step))
		if got := screen(out.String()); got != c.want {
			t.Errorf("the screen shows %q, want %q", got, c.want)
		}
	}
}

func TestObservation(t *testing.T) {
	info := map[string]string{
		"durability": "full", "batches": "3", "batch_requests": "9", "commit_syncs": "2", "db_bytes": "4096", "wal_bytes": "5", "resident_bytes": "6",
	}
	want := bench.Observation{Durability: "full", Batches: 3, Requests: 9, Syncs: 2, DBBytes: 4096, WALBytes: 5, Resident: 6}
	if got := observation(func(key string) string { return info[key] }); got != want {
		t.Errorf("INFO: got %+v, want %+v", got, want)
	}
	members := map[string]any{"durability": "full", "batches": 3.0, "batch_requests": 9.0, "commit_syncs": 2.0, "db_bytes": 4096.0, "wal_bytes": 5.0, "resident_bytes": 6.0}
	if got := observation(func(key string) string { return text(members[key]) }); got != want {
		t.Errorf("/v1/info: got %+v, want %+v", got, want)
	}
	if got := observation(func(key string) string { return text(map[string]any{}[key]) }); got != (bench.Observation{}) {
		t.Errorf("a daemon that knows none of the keys: got %+v", got)
	}
}
