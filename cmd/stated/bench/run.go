package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stated/stated/protocol"
)

// Target is what is measured.
type Target struct {
	// Connect gives one client its handler, and what ends it.
	Connect func(context.Context) (protocol.Handler, func() error, error)
	// Observe asks the store for its own figures. It may be nil.
	Observe func(context.Context) (Observation, error)
}

// Observation is what a store tells of itself.
type Observation struct {
	Durability string
	Batches    int64 // transactions that it has committed
	Requests   int64 // requests in them
	Syncs      int64 // syncs of the log that made them durable
	DBBytes    int64
	WALBytes   int64
	Resident   int64 // memory of the process that has the store; 0 = not known
}

// run is a benchmark under way.
type run struct {
	o       Options
	target  Target
	text    []byte
	clients []*client
	closers []func() error
}

// Run connects the clients, fills the store, warms up and measures. It blocks until all of that is done. When ctx ends
// it stops early, once the requests under way are answered: with what it has measured so far, or with the error of ctx if
// that is nothing. Requests that fail are part of the report, and no error of Run.
func Run(ctx context.Context, target Target, o Options) (report *Report, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := &run{o: o, target: target, text: newText(&o)}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	if !o.NoFill {
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
	}
	if o.Warmup > 0 {
		r.load(ctx, "warming up", o.Warmup, 0)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, c := range r.clients {
		c.tally = newTally()
	}
	before := r.observe()
	begun := time.Now()
	r.load(ctx, "measuring", o.Duration, o.Requests)
	took := time.Since(begun)
	all := newTally()
	for _, c := range r.clients {
		all.add(&c.tally)
	}
	if err := ctx.Err(); err != nil && all.operations == 0 && len(all.errors) == 0 {
		return nil, err
	}
	report = newReport(&o, &all, took, before, r.observe())
	report.Interrupted = ctx.Err() != nil
	return report, nil
}

func (r *run) connect(ctx context.Context) error {
	for i := range r.o.Clients {
		h, closer, err := r.target.Connect(ctx)
		if err != nil {
			return err
		}
		r.closers = append(r.closers, closer)
		r.clients = append(r.clients, newClient(h, &r.o, i, r.text))
	}
	return nil
}

func (r *run) close() error {
	var errs []error
	for _, closer := range r.closers {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// observe gives nil when the store tells nothing: a token that may not ask, or another server.
func (r *run) observe() *Observation {
	if r.target.Observe == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.o.Timeout)
	defer cancel()
	seen, err := r.target.Observe(ctx)
	if err != nil {
		return nil
	}
	return &seen
}

// load lets all clients run, for this time or for so many requests. It blocks until all answers are there.
func (r *run) load(ctx context.Context, phase string, d time.Duration, requests int64) {
	stop := make(chan struct{})
	var once sync.Once
	end := func() { once.Do(func() { close(stop) }) }
	defer context.AfterFunc(ctx, end)()
	if requests == 0 {
		defer time.AfterFunc(d, end).Stop()
	}
	var wg sync.WaitGroup
	for i, c := range r.clients {
		wg.Go(func() { c.run(stop, share(requests, i, len(r.clients))) })
	}
	done := r.watch(phase, requests)
	wg.Wait()
	done()
}

// share is the part of the requests that one client sends, -1 if they are not counted. It is settled beforehand, so that
// what a client sends does not depend on the others.
func share(requests int64, client, clients int) int64 {
	if requests == 0 {
		return -1
	}
	n := requests / int64(clients)
	if int64(client) < requests%int64(clients) {
		n++
	}
	return n
}

const progressEvery = time.Second

// watch tells how far a phase has come, each second, until it is stopped.
func (r *run) watch(phase string, total int64) (stop func()) {
	if r.o.Progress == nil {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	before, errorsBefore := r.counts()
	begun := time.Now()
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		last, at := before, begun
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			now := time.Now()
			n, failed := r.counts()
			r.o.Progress(Progress{
				Phase: phase, Done: n - before, Total: total, Rate: float64(n-last) / now.Sub(at).Seconds(),
				Errors: failed - errorsBefore, Passed: now.Sub(begun),
			})
			last, at = n, now
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

func (r *run) counts() (done, failed int64) {
	for _, c := range r.clients {
		done += c.done.Load()
		failed += c.failed.Load()
	}
	return done, failed
}
