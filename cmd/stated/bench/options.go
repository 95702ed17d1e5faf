package bench

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stated/stated/protocol"
)

// Workload says what one request of a client is.
type Workload string

// The workloads.
const (
	Save  Workload = "save"  // save a new state
	Load  Workload = "load"  // load a state
	Mixed Workload = "mixed" // load, change, save on condition of the revision; again from the start after a conflict
	Txn   Workload = "txn"   // a transaction of several saves
)

// Workloads gives all of them.
func Workloads() []Workload { return []Workload{Save, Load, Mixed, Txn} }

// Options say what to send. Every field but Progress and NoFill has to be set.
type Options struct {
	Workload Workload
	Clients  int
	Pipeline int     // requests that a client starts before it waits for the first
	Ops      int     // saves in a transaction
	Agents   int     // how many there are
	Skew     float64 // 0: each agent as likely as any other; else the exponent of Zipf's law, above 1
	Size     Size    // of states
	// Requests is how many to measure, over all clients; 0 = as many as come in Duration.
	Requests int64
	Duration time.Duration
	Warmup   time.Duration // not measured
	Seed     uint64
	Timeout  time.Duration // each request may take as long, or up to twice that
	NoFill   bool          // the agents are there already
	Progress func(Progress)
}

// Check returns INVALID for options that make no sense. The message names them as the flags of the command are called.
func (o *Options) Check() error {
	wrong := func(format string, args ...any) error { return protocol.Errorf(protocol.CodeInvalid, format, args...) }
	known := false
	for _, w := range Workloads() {
		known = known || w == o.Workload
	}
	switch {
	case !known:
		return wrong("workload %q is none of %v", o.Workload, Workloads())
	case o.Clients < 1 || o.Clients > 100_000:
		return wrong("clients %d: want 1 to 100000", o.Clients)
	case o.Pipeline < 1 || o.Pipeline > 1_024:
		return wrong("pipeline %d: want 1 to 1024", o.Pipeline)
	case o.Ops < 1 || o.Ops > protocol.MaxTxnOps:
		return wrong("ops %d: want 1 to %d", o.Ops, protocol.MaxTxnOps)
	case o.Agents < 1 || o.Agents > maxAgents:
		return wrong("agents %d: want 1 to %d", o.Agents, maxAgents)
	case o.Skew != 0 && !(1 < o.Skew && o.Skew <= 100): // so that NaN is refused too
		return wrong("skew %v: want uniform, or an exponent above 1 such as 1.1", o.Skew)
	case o.Size.Least < 1 || o.Size.Most < o.Size.Least || o.Size.Most > maxStateBytes:
		return wrong("size %s: want 1 byte to 512MiB, the smaller first", o.Size)
	case o.Requests < 0 || o.Requests == 0 && o.Duration <= 0:
		return wrong("nothing to measure: want a number of requests, or some time")
	case o.Warmup < 0:
		return wrong("warm-up %v is below 0", o.Warmup)
	case o.Timeout <= 0:
		return wrong("timeout %v: want some time for a request", o.Timeout)
	}
	return nil
}

const (
	maxAgents     = 1_000_000_000_000 - 1 // what the digits of an id can hold
	maxStateBytes = 512 << 20
)

// Progress tells how far a run has come.
type Progress struct {
	Phase  string // filling, warming up, measuring
	Done   int64  // agents or requests
	Total  int64  // 0 when it is not known
	Rate   float64
	Errors int64
	Passed time.Duration // in this phase
}

// Size is the size of states: a fixed one, or a spread, of which each power of two is as likely as the next.
type Size struct{ Least, Most int }

// String gives the size in whole powers of 1024 where that is exact, else in those of 1000.
func (s Size) String() string {
	if s.Least == s.Most {
		return sizeText(s.Least)
	}
	return sizeText(s.Least) + " to " + sizeText(s.Most)
}

func sizeText(n int) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return bytesText(int64(n))
	}
}

// mean is about the mean of a spread, good enough to choose how many states to send at once.
func (s Size) mean() int { return (s.Least + s.Most) / 2 }

// bytesText gives a number of bytes as people read it.
func bytesText(n int64) string {
	switch {
	case n >= 10e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 10e6:
		return fmt.Sprintf("%d MB", n/1e6)
	case n >= 10e3:
		return fmt.Sprintf("%d kB", n/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

func newRand(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // load, not secrets
}
