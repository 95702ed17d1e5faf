package bench

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stated/stated/protocol"
)

// Report is what was measured, and under which conditions.
type Report struct {
	Workload  Workload `json:"workload"`
	Target    string   `json:"target"` // as people read it
	Clients   int      `json:"clients"`
	Pipeline  int      `json:"pipeline"`
	TxnOps    int      `json:"txn_ops,omitempty"` // of the workload txn
	Agents    int      `json:"agents"`
	Skew      string   `json:"skew"`
	SizeLeast int      `json:"size_least"`
	SizeMost  int      `json:"size_most"`
	Seed      uint64   `json:"seed"`

	Interrupted bool                    `json:"interrupted"`
	Seconds     float64                 `json:"seconds"`
	Requests    int64                   `json:"requests"` // that succeeded
	PerSecond   float64                 `json:"requests_per_second"`
	Operations  int64                   `json:"operations"` // saves and loads in them
	Bytes       int64                   `json:"state_bytes"`
	Conflicts   int64                   `json:"conflicts"` // tried again; of the workload mixed
	Errors      map[protocol.Code]int64 `json:"errors"`
	FirstError  string                  `json:"first_error,omitempty"`
	Latency     Latency                 `json:"latency_ms"`
	Store       *StoreReport            `json:"store"` // null when the store does not tell

	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
	CPUs    int    `json:"cpus"`

	first error
}

// StoreReport is what the store told of itself, over the time that was measured. All who used it count.
type StoreReport struct {
	Durability string  `json:"durability"`
	FileSystem string  `json:"file_system,omitempty"`
	Commits    int64   `json:"commits"`
	MeanBatch  float64 `json:"mean_batch"` // requests in one commit
	// Fsyncs is how often the log was synced for commits: at durability full, else never. Checkpoints come on top.
	Fsyncs   int64 `json:"commit_fsyncs"`
	DBBytes  int64 `json:"db_bytes"`
	WALBytes int64 `json:"wal_bytes"`
	Resident int64 `json:"resident_bytes,omitempty"` // left out when it is not known
}

func newReport(o *Options, all *tally, took time.Duration, before, after *Observation) *Report {
	r := &Report{
		Workload: o.Workload, Clients: o.Clients, Pipeline: o.Pipeline, Agents: o.Agents, Skew: "uniform",
		SizeLeast: o.Size.Least, SizeMost: o.Size.Most, Seed: o.Seed,
		Seconds: took.Seconds(), Requests: all.latencies.histogram.TotalCount(), Operations: all.operations, Bytes: all.bytes,
		Conflicts: all.conflicts, Errors: all.errors, Latency: all.latencies.summary(), first: all.first,
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
	}
	if took > 0 {
		r.PerSecond = float64(r.Requests) / took.Seconds()
	}
	if o.Skew != 0 {
		r.Skew = fmt.Sprintf("zipf %v", o.Skew)
	}
	if o.Workload == Txn {
		r.TxnOps = o.Ops
	}
	if all.first != nil {
		r.FirstError = all.first.Error()
	}
	if before != nil && after != nil {
		r.Store = newStoreReport(before, after)
	}
	return r
}

func newStoreReport(before, after *Observation) *StoreReport {
	s := &StoreReport{
		Durability: after.Durability, Commits: after.Batches - before.Batches, Fsyncs: after.Syncs - before.Syncs,
		DBBytes: after.DBBytes, WALBytes: after.WALBytes, Resident: after.Resident,
	}
	if s.Commits > 0 {
		s.MeanBatch = float64(after.Requests-before.Requests) / float64(s.Commits)
	}
	return s
}

// Failed is how many requests failed.
func (r *Report) Failed() (n int64) {
	for _, count := range r.Errors {
		n += count
	}
	return n
}

// Err gives the first of the errors that requests met, nil if there was none.
func (r *Report) Err() error { return r.first }

func (r *Report) size() Size { return Size{r.SizeLeast, r.SizeMost} }

// conditions says what was done, in one line.
func (r *Report) conditions() string {
	what := string(r.Workload)
	if r.TxnOps > 0 {
		what += fmt.Sprintf(" of %d saves", r.TxnOps)
	}
	return fmt.Sprintf("%s, %d clients, %d in flight each, closed loop; %d agents, %s; states of %s",
		what, r.Clients, r.Pipeline, r.Agents, r.Skew, r.size())
}

// place says where it was done.
func (r *Report) place() string {
	text := r.Target
	if r.Store != nil {
		if r.Store.FileSystem != "" {
			text += " on " + r.Store.FileSystem
		}
		text += ", durability " + r.Store.Durability
	}
	return fmt.Sprintf("%s; stated %s, %s, %s, %d CPUs", text, cmp.Or(r.Version, "unknown"), r.Go, r.System, r.CPUs)
}

// unit is what one request is called.
func (r *Report) unit() string {
	return map[Workload]string{Save: "saves", Load: "loads", Mixed: "updates", Txn: "transactions"}[r.Workload]
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	l := r.Latency
	lines := []string{r.conditions(), r.place(), ""}
	add := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-11s ", name)+fmt.Sprintf(format, args...))
	}
	if r.Interrupted {
		add("interrupted", "these are the figures so far")
	}
	add("throughput", "%s %s/s: %s in %.1f s, %s of states a second", grouped(int64(r.PerSecond)), r.unit(), grouped(r.Requests), r.Seconds,
		bytesText(int64(float64(r.Bytes)/max(r.Seconds, 1e-9))))
	add("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s ms; mean %s", short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max), short(l.Mean))
	if r.Workload == Mixed {
		add("conflicts", "%s, tried again", grouped(r.Conflicts))
	}
	add("errors", "%s", r.errorsText())
	if s := r.Store; s != nil {
		if s.Commits > 0 {
			add("commits", "%s, %.1f requests each; %s", grouped(s.Commits), s.MeanBatch, s.fsyncsText())
		}
		add("files", "database %s, log %s", bytesText(s.DBBytes), bytesText(s.WALBytes))
		if s.Resident > 0 {
			add("memory", "%s resident", bytesText(s.Resident))
		}
	} else {
		add("store", "tells nothing of itself")
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

func (s *StoreReport) fsyncsText() string {
	if s.Fsyncs == 0 && s.Durability != "full" {
		return "none is synced to the disk"
	}
	return grouped(s.Fsyncs) + " fsyncs of the log, checkpoints not counted"
}

func (r *Report) errorsText() string {
	if len(r.Errors) == 0 {
		return "none"
	}
	var parts []string
	for code, n := range r.Errors {
		parts = append(parts, fmt.Sprintf("%s %s", grouped(n), code))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ") + "; the first: " + r.FirstError
}

// short gives milliseconds in three digits or so.
func short(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	case ms >= 1:
		return fmt.Sprintf("%.2f", ms)
	default:
		return fmt.Sprintf("%.3f", ms)
	}
}

// grouped gives a number with commas between the thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
