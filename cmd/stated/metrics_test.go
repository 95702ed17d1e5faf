package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

var update = flag.Bool("update", false, "write METRICS.md anew")

// shown are metrics whose numbers come from fakes.
func shown() *metrics {
	m := newMetrics(about{Version: "v1", Commit: "abc", Go: "go1", SQLite: "3"})
	m.show(fakeWriter{Waiting: 1, WaitingBytes: 2}, fakeStore{store.Info{
		LockRetries: 3, LockGaveUp: 4, OutsideWrites: 5, InDoubt: 6, Unlisted: 7, DBBytes: 8, WALBytes: 9,
		Health: store.Health{State: store.StateDegraded},
	}}, map[string]func() int{frontRedis: func() int { return 10 }, frontHTTP: func() int { return 11 }})
	return m
}

// scrape gives what Prometheus would get.
func scrape(t *testing.T, m *metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.handler(zerolog.Nop()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestMetrics_Values: everything that is counted arrives under its name.
func TestMetrics_Values(t *testing.T) {
	m := shown()
	m.commit(3, 5000, 20*time.Millisecond)
	m.lockWait(2 * time.Second)
	m.checkpoint(false, 300*time.Millisecond)
	m.checkpoint(true, 4*time.Millisecond)
	m.refused(frontRedis)(protocol.CodeInvalid)
	m.refused(frontHTTP)(protocol.CodeUnauthenticated)
	m.refused(frontHTTP)("NEW") // not in the vocabulary
	text := scrape(t, m)
	for _, line := range []string{
		"mailbox_depth 1", "mailbox_bytes 2", "lock_retries_total 3", "lock_gave_up_total 4", "outside_writes_total 5",
		"in_doubt_total 6", "unlisted_rows_total 7", "db_bytes 8", "wal_bytes 9",
		`store_state{state="ok"} 0`, `store_state{state="degraded"} 1`, `store_state{state="failed"} 0`,
		`connections{front="redis"} 10`, `connections{front="http"} 11`,
		`build_info{commit="abc",go="go1",sqlite="3",version="v1"} 1`,
		"batch_requests_sum 3", `batch_requests_bucket{le="2"} 0`, `batch_requests_bucket{le="4"} 1`, `batch_requests_bucket{le="1024"} 1`,
		"batch_bytes_sum 5000", `batch_bytes_bucket{le="4096"} 0`, `batch_bytes_bucket{le="16384"} 1`, `batch_bytes_bucket{le="6.7108864e+07"} 1`,
		"commit_seconds_sum 0.02", "lock_wait_seconds_sum 2",
		`checkpoint_seconds_sum{kind="background"} 0.3`, `checkpoint_seconds_sum{kind="pause"} 0.004`,
		`refused_total{code="INVALID",front="redis"} 1`, `refused_total{code="UNAUTHENTICATED",front="http"} 1`,
		`refused_total{code="INTERNAL",front="http"} 1`, `refused_total{code="UNAUTHENTICATED",front="redis"} 0`,
		`requests_total{code="UNKNOWN",op="save"} 0`, `requests_total{code="OK",op="txn"} 0`, // there before the first one
	} {
		if !strings.Contains(text, "\nstated_"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestMetrics_Lint holds the names and types to the conventions of Prometheus.
func TestMetrics_Lint(t *testing.T) {
	problems, err := testutil.GatherAndLint(shown().registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestMetrics_Page holds METRICS.md against the registry.
func TestMetrics_Page(t *testing.T) {
	const path = "METRICS.md"
	want := metricsPage(t, shown())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil { //nolint:gosec // it is documentation
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("go test ./cmd/stated -run TestMetrics_Page -update writes it anew (-registry +%s):\n%s", path, diff)
	}
}

func metricsPage(t *testing.T, m *metrics) string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# Metrics\n\nWhat `GET /metrics` shows, beside the `go_` and `process_` metrics that every Go program has. " +
		"Times are in seconds.\nMade from the registry: `go test ./cmd/stated -run TestMetrics_Page -update`.\n\n" +
		"| name | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range families { // in the order of their names
		if !strings.HasPrefix(f.GetName(), "stated_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	return b.String()
}
