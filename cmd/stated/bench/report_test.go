package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
)

// measured is what two clients counted in half a second.
func measured() *tally {
	all, second := newTally(), newTally()
	for i := range 100 {
		all.latencies.record(time.Duration(i%2+1) * time.Millisecond)
	}
	all.operations, all.bytes, all.conflicts = 100, 102_400, 2
	second.latencies.record(50 * time.Millisecond)
	second.operations, second.bytes, second.conflicts = 1, 1024, 3
	second.errors[protocol.CodeLocked], second.errors[protocol.CodeIO] = 1234, 1
	second.first = protocol.Errorf(protocol.CodeLocked, "another process held the lock")
	all.add(&second)
	return &all
}

func reported(workload Workload, before, after *Observation) *Report {
	o := Options{
		Workload: workload, Clients: 2, Pipeline: 1, Ops: 3, Agents: 10_000, Size: Size{1024, 1024}, Seed: 9, Skew: 1.5,
	}
	return newReport(&o, measured(), 500*time.Millisecond, before, after)
}

func TestReport(t *testing.T) {
	before := Observation{Durability: "full", Batches: 1000, Requests: 5000, Syncs: 990}
	after := Observation{Durability: "full", Batches: 1020, Requests: 5050, Syncs: 1005, DBBytes: 5, WALBytes: 6, Resident: 7}
	r := reported(Mixed, &before, &after)
	if r.Requests != 101 || r.PerSecond != 202 || r.Seconds != 0.5 || r.Operations != 101 || r.Bytes != 103_424 || r.Conflicts != 5 {
		t.Errorf("counts: %+v", r)
	}
	if r.Latency.Max != 50 || r.Failed() != 1235 || r.Errors[protocol.CodeLocked] != 1234 {
		t.Errorf("latencies and errors: %+v", r)
	}
	if !errors.Is(r.Err(), protocol.CodeLocked) || !strings.Contains(r.FirstError, "held the lock") {
		t.Errorf("first error: %v, %q", r.Err(), r.FirstError)
	}
	if r.Skew != "zipf 1.5" || r.TxnOps != 0 {
		t.Errorf("conditions: %+v", r)
	}
	want := StoreReport{Durability: "full", Commits: 20, MeanBatch: 2.5, Fsyncs: 15, DBBytes: 5, WALBytes: 6, Resident: 7}
	if *r.Store != want {
		t.Errorf("of the store: got %+v, want %+v", *r.Store, want)
	}
}

// TestReport_store has what is not known, and what does not divide.
func TestReport_store(t *testing.T) {
	seen := Observation{Durability: "normal", Batches: 3, Requests: 9}
	if r := reported(Txn, nil, &seen); r.Store != nil || r.TxnOps != 3 {
		t.Errorf("a store that told only once: %+v, %d ops", r.Store, r.TxnOps)
	}
	if s := reported(Load, &seen, &seen).Store; s.Commits != 0 || s.MeanBatch != 0 || s.Fsyncs != 0 {
		t.Errorf("no commit: %+v", s)
	}
	later := Observation{Durability: "normal", Batches: 5, Requests: 19}
	if s := reported(Save, &seen, &later).Store; s.Commits != 2 || s.MeanBatch != 5 || s.Fsyncs != 0 {
		t.Errorf("durability normal syncs no commit: %+v", s)
	}
	empty := newTally()
	if r := newReport(&Options{}, &empty, 0, nil, nil); r.PerSecond != 0 || r.Err() != nil || r.Failed() != 0 {
		t.Errorf("nothing in no time: %+v", r)
	}
}

// TestReport_json holds the names: scripts read them.
func TestReport_json(t *testing.T) {
	keys := func(r *Report) string {
		t.Helper()
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]any{}
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(maps.Keys(all))
		for _, inner := range []string{"latency_ms", "store"} {
			if m, ok := all[inner].(map[string]any); ok {
				names = append(names, fmt.Sprint(inner, slices.Sorted(maps.Keys(m))))
			}
		}
		return strings.Join(names, " ")
	}
	seen := Observation{Durability: "full", Resident: 1}
	r := reported(Txn, &seen, &seen)
	r.Store.FileSystem = "tmpfs"
	if got, want := keys(r), "agents clients conflicts cpus errors first_error go interrupted latency_ms operations pipeline requests "+
		"requests_per_second seconds seed size_least size_most skew state_bytes store system target txn_ops version workload "+
		"latency_ms[max mean p50 p90 p99 p999] "+
		"store[commit_fsyncs commits db_bytes durability file_system mean_batch resident_bytes wal_bytes]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	empty := newTally()
	r = newReport(&Options{Workload: Save}, &empty, time.Second, nil, nil)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"errors":{}`, `"store":null`, `"skew":"uniform"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %s in %s", want, text)
		}
	}
	if strings.Contains(string(text), "first_error") || strings.Contains(string(text), "txn_ops") {
		t.Errorf("there is no error and no transaction: %s", text)
	}
}

func TestReport_Print(t *testing.T) {
	before := Observation{Durability: "full"}
	after := Observation{Durability: "full", Batches: 20, Requests: 50, Syncs: 15, DBBytes: 12_300_000, WALBytes: 45_000, Resident: 99_000_000}
	r := reported(Mixed, &before, &after)
	r.Target, r.Version, r.Go, r.System, r.CPUs, r.Interrupted = "in-process", "v1", "go1", "linux/amd64", 2, true
	r.Store.FileSystem = "tmpfs"
	const want = `mixed, 2 clients, 1 in flight each, closed loop; 10000 agents, zipf 1.5; states of 1 KiB
in-process on tmpfs, durability full; stated v1, go1, linux/amd64, 2 CPUs

interrupted these are the figures so far
throughput  202 updates/s: 101 in 0.5 s, 206 kB of states a second
latency     p50 2.01  p90 2.01  p99 2.01  p99.9 50.0  max 50.0 ms; mean 1.98
conflicts   5, tried again
errors      1 IO, 1,234 LOCKED; the first: LOCKED: another process held the lock
commits     20, 2.5 requests each; 15 fsyncs of the log, checkpoints not counted
files       database 12 MB, log 45 kB
memory      99 MB resident
`
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	quiet := reported(Load, nil, nil)
	out.Reset()
	if err := quiet.Print(&out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "\nstore       tells nothing of itself\n") || strings.Contains(got, "commits") || strings.Contains(got, "conflicts") {
		t.Errorf("of a store that tells nothing: got\n%s", got)
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(-1234567), "-1,234,567"}, {grouped(-999), "-999"},
		{short(0.01234), "0.012"}, {short(1.239), "1.24"}, {short(12.39), "12.4"}, {short(1239.4), "1239"},
		{bytesText(9_999), "9999 B"}, {bytesText(10_000), "10 kB"}, {bytesText(12_345_678), "12 MB"}, {bytesText(12_345_678_901), "12.3 GB"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}
