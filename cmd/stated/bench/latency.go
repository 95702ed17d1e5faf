package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencies are those of one client, so that clients do not wait for each other. They are exact to one percent or
// finest, whichever is more, and take 25 kB.
type latencies struct {
	histogram *hdrhistogram.Histogram
	sum, max  time.Duration
}

const (
	finest  = 64 * time.Nanosecond
	longest = time.Minute // what takes longer counts as that, but in the maximum and the mean
)

func newLatencies() *latencies {
	return &latencies{histogram: hdrhistogram.New(int64(finest), int64(longest), 2)}
}

func (l *latencies) record(d time.Duration) {
	l.sum += d
	l.max = max(l.max, d)
	_ = l.histogram.RecordValue(int64(min(max(d, 0), longest))) // it is in range
}

func (l *latencies) merge(from *latencies) {
	l.sum += from.sum
	l.max = max(l.max, from.max)
	l.histogram.Merge(from.histogram)
}

// Latency is the distribution of latencies in milliseconds, all 0 when there is none.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (l *latencies) summary() Latency {
	n := l.histogram.TotalCount()
	if n == 0 {
		return Latency{}
	}
	// The histogram gives the upper end of what it cannot tell apart.
	at := func(percent float64) float64 {
		return milliseconds(min(time.Duration(l.histogram.ValueAtPercentile(percent)), l.max))
	}
	return Latency{
		Mean: milliseconds(l.sum / time.Duration(n)),
		P50:  at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: milliseconds(l.max),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
