package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a spec can ask for.
const (
	doFill = "fill" // every agent once, in order
	doSave = "save" // agents in random order
	doLoad = "load"
)

// spec is one measurement of one peer, as it is handed to the process that makes it.
type spec struct {
	Peer       string
	Dir        string // the peer's own
	Do         string
	Clients    int // goroutines in a closed loop
	Batch      int // saves in one transaction of a batcher; 0 = single saves
	Agents     int
	Warmup     time.Duration
	Duration   time.Duration
	Seed       uint64
	CPUProfile string
}

// sample is what came out of one measurement.
type sample struct {
	PerSecond     float64
	P50, P99, Max time.Duration
	CPU           time.Duration // of one operation, with what the callers cost; 0 where it is not known
	Acked         int64         // all that was acknowledged, in the warm-up and after the end too
	Failed        int64
	FirstError    string // of those that failed
	Bytes         int64  // of memory, where it was asked for
}

// mean is the time of one operation with one caller.
func (s sample) mean() time.Duration { return time.Duration(float64(time.Second) / s.PerSecond) }

// measure opens the peer, makes the measurement in this process, and closes it again.
func (s spec) measure() (_ sample, err error) {
	k, err := kindOf(s.Peer)
	if err != nil {
		return sample{}, err
	}
	p, err := k.open(s.Dir, s.Clients)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if s.Do == doFill {
		return s.fill(p)
	}
	return s.load(p)
}

// fill writes every agent once.
func (s spec) fill(p peer) (sample, error) {
	states := newStates(rand.New(rand.NewPCG(s.Seed, 0)))
	var wg sync.WaitGroup
	errs := make([]error, s.Clients)
	for c := range s.Clients {
		wg.Go(func() {
			for i := c; i < s.Agents && errs[c] == nil; i += s.Clients {
				errs[c] = p.save(agentID(i), states[i%len(states)])
			}
		})
	}
	wg.Wait()
	return sample{Acked: int64(s.Agents)}, errors.Join(errs...)
}

// load runs the closed loops: through the warm-up, then for the duration.
func (s spec) load(p peer) (sample, error) {
	w := newWorkers(s, p)
	if s.Warmup > 0 {
		w.run(s.Warmup)
	}
	warm := w.total()
	if s.CPUProfile != "" {
		f, err := os.Create(s.CPUProfile)
		if err != nil {
			return sample{}, err
		}
		defer f.Close() //nolint:errcheck // a profile that is cut short is seen when it is read
		if err := pprof.StartCPUProfile(f); err != nil {
			return sample{}, err
		}
		defer pprof.StopCPUProfile()
	}
	before := cpuTime()
	if s.Duration > 0 {
		w.run(s.Duration)
	}
	used, out := cpuTime()-before, w.total()
	out.CPU = used / time.Duration(max(1, out.Acked))
	out.Acked += warm.Acked
	if out.Acked == 0 && out.FirstError != "" {
		return out, fmt.Errorf("%s: every operation failed: %s", s.Peer, out.FirstError)
	}
	return out, nil
}

// Bounds of what a histogram tells apart.
const (
	shortest = time.Microsecond
	longest  = 2 * time.Minute
	digits   = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(shortest), int64(longest), digits)
}
