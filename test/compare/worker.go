package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// workers are the closed loops of one measurement.
type workers struct {
	each     []*worker
	duration time.Duration
}

// worker is one caller: it sends its next operation when the last one was acknowledged.
type worker struct {
	spec   spec
	peer   peer
	random *rand.Rand
	ids    []string
	states [][]byte
	batch  []item

	latency       *hdrhistogram.Histogram
	inTime, acked int64 // before the end, and with those that came later
	failed        int64
	firstError    error
}

func newWorkers(s spec, p peer) *workers {
	states := newStates(rand.New(rand.NewPCG(s.Seed, 0)))
	ids := make([]string, s.Agents)
	for i := range ids {
		ids[i] = agentID(i)
	}
	w := &workers{each: make([]*worker, s.Clients)}
	for i := range w.each {
		w.each[i] = &worker{
			spec: s, peer: p, ids: ids, states: states, random: rand.New(rand.NewPCG(s.Seed, uint64(i)+1)),
			batch: make([]item, s.Batch),
		}
	}
	return w
}

// run starts all of them, from zero, and waits until each has had the answer to its last operation.
func (w *workers) run(d time.Duration) {
	w.duration = d
	var wg sync.WaitGroup
	start := make(chan time.Time)
	for _, one := range w.each {
		one.reset()
		wg.Go(func() { one.loop(<-start) })
	}
	end := time.Now().Add(d)
	for range w.each {
		start <- end
	}
	wg.Wait()
}

func (w *worker) reset() {
	w.latency = newHistogram()
	w.inTime, w.acked, w.failed, w.firstError = 0, 0, 0, nil
}

func (w *worker) loop(end time.Time) {
	for now := time.Now(); now.Before(end); {
		count, err := w.once()
		then := time.Now()
		if err != nil {
			w.failed++
			if w.firstError == nil {
				w.firstError = err
			}
			now = then
			continue
		}
		_ = w.latency.RecordValue(min(int64(then.Sub(now)), int64(longest))) // out of range it cannot be
		w.acked += count
		if then.Before(end) {
			w.inTime += count
		}
		now = then
	}
}

// once performs one operation and gives the number of states that it moved.
func (w *worker) once() (int64, error) {
	if w.spec.Batch > 0 {
		for i := range w.batch {
			w.batch[i] = item{w.anyID(), w.anyState()}
		}
		b, ok := w.peer.(batcher)
		if !ok {
			return 0, fmt.Errorf("%s has no batches", w.spec.Peer)
		}
		return int64(w.spec.Batch), b.saveAll(w.batch)
	}
	if w.spec.Do == doLoad {
		state, err := w.peer.load(w.anyID())
		if err == nil && len(state) != stateBytes {
			err = fmt.Errorf("a state of %d bytes", len(state))
		}
		return 1, err
	}
	return 1, w.peer.save(w.anyID(), w.anyState())
}

func (w *worker) anyID() string    { return w.ids[w.random.IntN(len(w.ids))] }
func (w *worker) anyState() []byte { return w.states[w.random.IntN(len(w.states))] }

// total adds up the last run.
func (w *workers) total() sample {
	var out sample
	all := newHistogram()
	for _, one := range w.each {
		if one.latency == nil {
			continue
		}
		all.Merge(one.latency)
		out.PerSecond += float64(one.inTime) / w.duration.Seconds()
		out.Acked += one.acked
		out.Failed += one.failed
		if out.FirstError == "" && one.firstError != nil {
			out.FirstError = one.firstError.Error()
		}
	}
	out.P50, out.P99 = time.Duration(all.ValueAtQuantile(50)), time.Duration(all.ValueAtQuantile(99))
	out.Max = time.Duration(all.Max())
	return out
}
