package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// benchReport is what a test reads of `stated bench --json`. A member that it does not name is looked for by name.
type benchReport struct {
	Workload, Target     string
	Clients, Agents      int
	Interrupted          bool
	Seconds              float64
	Requests, Operations int64
	PerSecond            float64 `json:"requests_per_second"`
	Bytes                int64   `json:"state_bytes"`
	Conflicts            int64
	Errors               map[string]int64
	Latency              struct{ Mean, P50, P90, P99, P999, Max float64 } `json:"latency_ms"`
	Store                *struct {
		Durability string
		Commits    int64
		MeanBatch  float64 `json:"mean_batch"`
		Fsyncs     int64   `json:"commit_fsyncs"`
		DBBytes    int64   `json:"db_bytes"`
		WALBytes   int64   `json:"wal_bytes"`
		Resident   int64   `json:"resident_bytes"`
	}
}

func parseBench(t *testing.T, stdout string) (r benchReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("bench --json prints %q: %v", stdout, err)
	}
	return r
}

// smallBench are the flags of a run that takes no time.
var smallBench = []string{"bench", "--agents", "50", "--clients", "4", "--size", "100B", "--ops", "3", "--warmup", "0s"}

func runBench(t *testing.T, args ...string) benchReport {
	t.Helper()
	r := harness.CLI(t, append(append(append([]string{}, smallBench...), "--json"), args...)...)
	if r.Code != 0 {
		t.Fatalf("bench %q: exit code %d: %s", args, r.Code, r.Stderr)
	}
	return parseBench(t, r.Stdout)
}

const benchRequests, benchSize = 200, 100

// want checks a run of so many requests.
func (r *benchReport) want(t *testing.T, workload string) {
	t.Helper()
	operations := map[string]int64{
		"save": benchRequests, "load": benchRequests, "mixed": 2*benchRequests + r.Conflicts, "txn": 3 * benchRequests,
	}[workload]
	if r.Workload != workload || r.Clients != 4 || r.Agents != 50 || r.Interrupted || len(r.Errors) > 0 {
		t.Errorf("%s: %+v", workload, r)
	}
	if r.Requests != benchRequests || r.Operations != operations || r.Bytes != operations*benchSize {
		t.Errorf("%s: %d requests, %d operations, %d bytes, want %d, %d, %d", workload, r.Requests, r.Operations, r.Bytes,
			benchRequests, operations, operations*benchSize)
	}
	l := r.Latency
	if r.Seconds <= 0 || r.PerSecond <= 0 || l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || l.Mean > l.Max {
		t.Errorf("%s: in %v s, %v a second, latencies %+v", workload, r.Seconds, r.PerSecond, l)
	}
	s := r.Store
	if s == nil {
		t.Fatalf("%s: nothing of the store", workload)
	}
	// One sync may cover two commits, and begin just before the figures are asked for.
	if s.Durability != "full" || s.Fsyncs > s.Commits+1 || s.Fsyncs < s.Commits/2 || (s.Commits == 0) != (workload == "load") || s.DBBytes <= 0 || s.WALBytes <= 0 {
		t.Errorf("%s: the store tells %+v", workload, *s)
	}
}

// writes is how many requests went to the writer.
func (r *benchReport) writes() int64 {
	if r.Workload == "load" {
		return 0
	}
	return r.Requests + r.Conflicts
}

var workloads = []string{"save", "load", "mixed", "txn"}

// TestBench_InProcess measures each workload on a temporary file, of which nothing is left, and on a file, which stays.
func TestBench_InProcess(t *testing.T) {
	dir := t.TempDir()
	for _, w := range workloads {
		r := harness.Run(t, harness.Command{
			Args: append(append([]string{}, smallBench...), "--json", "--workload", w, "--requests", fmt.Sprint(benchRequests)),
			Env:  []string{"TMPDIR=" + dir},
		})
		if r.Code != 0 {
			t.Fatalf("%s: exit code %d: %s", w, r.Code, r.Stderr)
		}
		report := parseBench(t, r.Stdout)
		report.want(t, w)
		if report.Target != "in-process" {
			t.Errorf("target %q", report.Target)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left in the temporary folder: %v, %v", w, left, err)
		}
	}
	db := harness.File(t)
	r := harness.CLI(t, append(append([]string{}, smallBench...), "--db", db, "--duration", "50ms")...)
	for _, want := range []string{"save, 4 clients", "throughput", " saves/s", "p99.9", "fsyncs", "errors      none"} {
		if r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("exit code %d, want %q in\n%s%s", r.Code, want, r.Stdout, r.Stderr)
		}
	}
	if !strings.Contains(r.Stderr, db+"; --clean deletes them") {
		t.Errorf("not told that the agents stay: %q", r.Stderr)
	}
	c := cli{t, []string{"--db", db}}
	c.wants("50\n", "", "count")
	runBench(t, "--db", db, "--duration", "50ms", "--workload", "load", "--no-fill", "--clean")
	c.wants("0\n", "", "count")
}

// TestBench_Daemon measures each workload by RESP and by HTTP, and holds the counts against the daemon's own.
func TestBench_Daemon(t *testing.T) {
	for _, front := range []string{"--addr", "--http"} {
		t.Run(strings.TrimLeft(front, "-"), func(t *testing.T) {
			d := harness.Start(t, harness.File(t))
			target := map[string]string{"--addr": d.Addr, "--http": d.HTTP}[front]
			for i, w := range workloads {
				args := []string{front, target, "--workload", w, "--requests", fmt.Sprint(benchRequests)}
				fills := int64(1) // all agents fit into one transaction
				if i == 1 {
					args, fills = append(args, "--no-fill"), 0
				}
				before := d.Info(t)
				r := runBench(t, args...)
				after := d.Info(t)
				r.want(t, w)
				grown := func(key string) int64 { return after.Number(t, key) - before.Number(t, key) }
				if got, want := grown("batch_requests"), r.writes()+fills; got != want {
					t.Errorf("%s: the daemon has had %d requests in batches, by the report %d", w, got, want)
				}
				if got, want := grown("batches"), r.Store.Commits+fills; got != want {
					t.Errorf("%s: the daemon has made %d commits, by the report %d", w, got, want)
				}
				if got, want := r.Store.MeanBatch*float64(r.Store.Commits), float64(r.writes()); got < want-0.01 || got > want+0.01 {
					t.Errorf("%s: %v commits of %v, of %v requests", w, r.Store.Commits, r.Store.MeanBatch, want)
				}
				if r.Store.Resident <= 0 || !strings.HasPrefix(r.Target, "daemon at ") || !strings.Contains(r.Target, target) {
					t.Errorf("%s: %q, memory %d", w, r.Target, r.Store.Resident)
				}
			}
			c := cli{t, []string{"--addr", d.Addr}}
			c.wants("50\n", "", "count")
			runBench(t, front, target, "--duration", "50ms", "--clean")
			c.wants("0\n", "", "count")
		})
	}
	t.Run("pipeline", func(t *testing.T) {
		d := harness.Start(t, harness.File(t))
		r := runBench(t, "--addr", d.Addr, "--pipeline", "16", "--requests", fmt.Sprint(benchRequests))
		r.want(t, "save")
	})
}

// TestBench_Others does not write where there are agents of others, unless told to; theirs stay as they are.
func TestBench_Others(t *testing.T) {
	d := harness.Start(t, harness.File(t))
	c := cli{t, []string{"--addr", d.Addr}}
	c.wants("revision 1\n", `{"turn":1}`, "save", "alice")
	for _, target := range [][]string{{"--addr", d.Addr}, {"--http", d.HTTP}} {
		wantFailure(t, harness.CLI(t, append(append([]string{}, smallBench...), target...)...), 2, "alice", "--with-others")
		c.wants("1\n", "", "count")
		runBench(t, append(target, "--with-others", "--clean", "--requests", "10")...)
		c.wants("1\n", "", "count")
		c.wants(`{"turn":1}`, "", "load", "alice")
	}
	plain := harness.File(t)
	makePlain(t, plain)
	before, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, harness.CLI(t, append(append([]string{}, smallBench...), "--db", plain)...), 2, plain, "another program", "--with-others")
	if after, err := os.ReadFile(plain); err != nil || string(after) != string(before) {
		t.Errorf("a file that was refused has changed, %v", err)
	}
}

// TestBench_Usage gives each mistake its message and exit code, and writes nothing.
func TestBench_Usage(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"--workload write", 2, `workload "write" is none of [save load mixed txn]`},
		{"--clients 0", 2, "clients 0: want 1 to 100000"},
		{"--clients many", 2, "--clients"},
		{"--pipeline 0", 2, "pipeline 0"},
		{"--ops 1025", 2, "ops 1025"},
		{"--agents none", 2, `--agents "none"`},
		{"--agents 0", 2, `--agents "0"`},
		{"--size 0B", 2, "size 0 B"},
		{"--size 64KiB-100B", 2, "the smaller first"},
		{"--size big", 2, `--size "big"`},
		{"--size 9MiB", 2, "limits.state_bytes"},
		{"--skew 1", 2, "skew 1"},
		{"--skew NaN", 2, "skew NaN"},
		{"--duration 0s", 2, "nothing to measure"},
		{"--requests -5", 2, `--requests "-5"`},
		{"--warmup -1s", 2, "warm-up"},
		{"--no-fill", 2, "--no-fill"},
		{"--duration 1s --requests 5", 2, "--duration and --requests cannot be used together"},
		{"--db a.db --addr 127.0.0.1:1", 2, "--db and --addr cannot be used together"},
		{"--addr 127.0.0.1:1 --durability off", 2, "durability"},
		{"--addr nowhere", 2, `"nowhere" is not an address`},
		{"--tls", 2, "--addr or --http"},
		{"--http 127.0.0.1:1 --pipeline 2", 2, "--pipeline"},
		{"something", 2, "no arguments"},
		{"--addr 127.0.0.1:1", 5, "127.0.0.1:1"},
		{"--http 127.0.0.1:1", 5, "127.0.0.1:1"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			wantFailure(t, harness.CLI(t, append([]string{"bench"}, strings.Fields(tc.args)...)...), tc.code, tc.want)
		})
	}
}

// TestBench_Errors reports requests that failed, and ends with the exit code of the first.
func TestBench_Errors(t *testing.T) {
	d := harness.Start(t, harness.File(t))
	r := harness.CLI(t, append(append([]string{}, smallBench...), "--addr", d.Addr, "--json", "--no-fill", "--workload", "load", "--requests", "4")...)
	if report := parseBench(t, r.Stdout); r.Code != 3 || report.Requests != 0 || report.Errors["NOT_FOUND"] != 4 || !strings.Contains(r.Stderr, "stated: 4 requests failed; the first: there is no agent") {
		t.Errorf("exit code %d, %+v, %q", r.Code, report, r.Stderr)
	}
}

// TestBench_Interrupted prints what was measured so far, and deletes the agents if that is asked.
func TestBench_Interrupted(t *testing.T) {
	d := harness.Start(t, harness.File(t))
	p := harness.Spawn(t, harness.Command{
		Args: append(append([]string{}, smallBench...), "--addr", d.Addr, "--json", "--duration", "1h", "--clean"),
	})
	eventually(t, "the daemon is measured", func() bool { return d.Info(t).Number(t, "batch_requests") > 20 })
	p.Signal(t, syscall.SIGINT)
	if code := p.Wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Output())
	}
	if r := parseBench(t, strings.Join(p.Lines(), "\n")+"\n"); !r.Interrupted || r.Requests == 0 || len(r.Errors) > 0 {
		t.Errorf("got %+v", r)
	}
	if n, err := d.Client(t, resp.ClientOptions{}).Count(guarded(t), ""); err != nil || n != 0 {
		t.Errorf("%d agents are left, %v", n, err)
	}
}
