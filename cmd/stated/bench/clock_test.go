package bench_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/cmd/stated/bench"
	"github.com/stated/stated/protocol"
)

// Each request of a slow target takes this long, by a clock that only such waits move on.
const (
	each    = 7 * time.Millisecond
	eachTxn = 300 * time.Millisecond
)

func newSlow() *memory {
	m := newMemory()
	m.Waits = func(_ context.Context, r *protocol.Request) {
		if r.Op().Kind() == protocol.KindTxn {
			time.Sleep(eachTxn)
			return
		}
		time.Sleep(each)
	}
	return m
}

// TestRun_duration measures 143 requests of 7 ms for each client in a second, after a warm-up that does not count.
func TestRun_duration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Warmup = 100 * time.Millisecond
		m := newSlow()
		r := mustRun(t, m.target(), o)
		const perClient, warm = 143, 15
		if r.Requests != 4*perClient || r.Seconds != 1.001 || m.asked[protocol.KindSave] != 4*(perClient+warm) {
			t.Errorf("%d requests in %v s, %d saves in all", r.Requests, r.Seconds, m.asked[protocol.KindSave])
		}
		if want := 4 * perClient / 1.001; r.PerSecond != want {
			t.Errorf("%v requests a second, want %v", r.PerSecond, want)
		}
		if l := r.Latency; l.Mean != 7 || l.P50 != 7 || l.P999 != 7 || l.Max != 7 {
			t.Errorf("latencies %+v, want 7 ms", l)
		}
	})
}

// TestRun_mixedLatency is that of the load and the save together.
func TestRun_mixedLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Workload, o.Clients, o.Requests = bench.Mixed, 1, 20
		if r := mustRun(t, newSlow().target(), o); r.Latency.Mean != 14 || r.Latency.Max != 14 || r.Seconds != 0.28 {
			t.Errorf("latencies %+v in %v s", r.Latency, r.Seconds)
		}
	})
}

// TestRun_progress tells each second how far a phase has come.
func TestRun_progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Agents, o.Warmup, o.Duration = 20_480, 1500*time.Millisecond, 2500*time.Millisecond
		var mu sync.Mutex
		var lines []string
		o.Progress = func(p bench.Progress) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprintf("%s %v %d of %d, %.0f/s, %d errors", p.Phase, p.Passed, p.Done, p.Total, p.Rate, p.Errors))
		}
		mustRun(t, newSlow().target(), o)
		want := []string{ // 40 transactions of 512 by 4 clients; in each second 142.9 saves by each of 4
			"filling 1s 6144 of 20480, 6144/s, 0 errors",
			"filling 2s 12288 of 20480, 6144/s, 0 errors",
			"warming up 1s 568 of 0, 568/s, 0 errors",
			"measuring 1s 568 of 0, 568/s, 0 errors",
			"measuring 2s 1140 of 0, 572/s, 0 errors",
		}
		// The third second of filling ends together with it.
		lines = slices.DeleteFunc(lines, func(s string) bool { return s[:10] == "filling 3s" })
		if !slices.Equal(lines, want) {
			t.Errorf("got  %q\nwant %q", lines, want)
		}
	})
}

// TestRun_errors pauses after requests that failed, the longer the more of them there are in a row.
func TestRun_errors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Clients, o.Duration = 1, 2*time.Second
		m := newSlow()
		m.Before = func(_ context.Context, r *protocol.Request) *protocol.Reply {
			if r.Op().Kind() != protocol.KindSave {
				return nil
			}
			return &protocol.Reply{Err: protocol.Errorf(protocol.CodeOverloaded, "no room")}
		}
		m.Waits = nil
		r := mustRun(t, m.target(), o)
		// At 0, 10, 30, 70, 150, 310, 630, 1270 ms; the next would be a second later at most.
		if r.Requests != 0 || r.Errors[protocol.CodeOverloaded] != 8 || r.Seconds != 2 || r.Latency != (bench.Latency{}) {
			t.Errorf("got %+v", r)
		}
		if !errors.Is(r.Err(), protocol.CodeOverloaded) || r.FirstError == "" {
			t.Errorf("first error %v, %q", r.Err(), r.FirstError)
		}
	})
}

// TestRun_timeout ends requests that nobody answers.
func TestRun_timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Clients, o.Requests, o.Timeout = 1, 2, 5*time.Second
		m := newMemory()
		m.Waits = func(ctx context.Context, r *protocol.Request) {
			if r.Op().Kind() == protocol.KindSave {
				<-ctx.Done()
				select { // the answer is lost
				case <-r.Reply():
				default:
				}
			}
		}
		r := mustRun(t, m.target(), o)
		if r.Requests != 0 || r.Failed() != 2 || r.Seconds < 15 || r.Seconds > 20.1 {
			t.Errorf("%d requests, %d failed in %v s", r.Requests, r.Failed(), r.Seconds)
		}
	})
}

// TestRun_interrupted stops in each phase: with what there is, or with the error of the context.
func TestRun_interrupted(t *testing.T) {
	for name, tc := range map[string]struct {
		after    time.Duration
		requests int64 // of 4 clients; -1: an error
	}{
		"before it begins":    {0, -1},
		"filling":             {100 * time.Millisecond, -1},
		"warming up":          {800 * time.Millisecond, -1},
		"measuring":           {1352 * time.Millisecond, 4 * 8},
		"measuring, at first": {1307 * time.Millisecond, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.after)
				defer cancel()
				o := options()
				o.Warmup = time.Second // the fill takes 0.3 s before that, and the last request 1 ms more
				m := newSlow()
				r, err := bench.Run(ctx, m.target(), o)
				if tc.requests < 0 {
					if r != nil || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %+v, %v", r, err)
					}
				} else if err != nil || !r.Interrupted || r.Requests != tc.requests {
					t.Errorf("got %+v, %v", r, err)
				}
				if m.shut != m.opened {
					t.Errorf("%d of %d clients ended", m.shut, m.opened)
				}
			})
		})
	}
}
