package bench

import (
	"math"
	"testing"
	"time"
)

func TestLatencies(t *testing.T) {
	l := newLatencies()
	if got := l.summary(); got != (Latency{}) {
		t.Errorf("of nothing: got %+v", got)
	}
	other := newLatencies()
	for i := 1; i <= 1000; i++ { // 1 to 1,000 ms, by two clients
		to := l
		if i%2 == 0 {
			to = other
		}
		to.record(time.Duration(i) * time.Millisecond)
	}
	l.merge(other)
	got := l.summary()
	for name, v := range map[string][2]float64{
		"p50": {got.P50, 500}, "p90": {got.P90, 900}, "p99": {got.P99, 990}, "p999": {got.P999, 999},
	} {
		if math.Abs(v[0]-v[1]) > 0.01*v[1] {
			t.Errorf("%s: got %v ms, want %v to one percent", name, v[0], v[1])
		}
	}
	if got.Mean != 500.5 || got.Max != 1000 {
		t.Errorf("mean %v, max %v ms, want exactly 500.5 and 1000", got.Mean, got.Max)
	}
}

// TestLatencies_ends has what is too short and too long for the histogram.
func TestLatencies_ends(t *testing.T) {
	for d, want := range map[time.Duration]Latency{
		0:               {},
		10 * time.Hour:  {Mean: 36e6, P50: 60_000, P90: 60_000, P99: 60_000, P999: 60_000, Max: 36e6},
		time.Nanosecond: {Mean: 1e-6, P50: 1e-6, P90: 1e-6, P99: 1e-6, P999: 1e-6, Max: 1e-6},
	} {
		l := newLatencies()
		l.record(d)
		got := l.summary()
		for _, v := range [][2]float64{
			{got.Mean, want.Mean}, {got.P50, want.P50}, {got.P90, want.P90}, {got.P99, want.P99}, {got.P999, want.P999}, {got.Max, want.Max},
		} {
			if math.Abs(v[0]-v[1]) > 0.01*v[1] {
				t.Errorf("%v: got %+v, want %+v", d, got, want)
				break
			}
		}
		if l.histogram.TotalCount() != 1 {
			t.Errorf("%v was not counted", d)
		}
	}
}
