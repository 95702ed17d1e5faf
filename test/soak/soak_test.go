//go:build soak

// Package soak runs a daemon for long under mixed load and random faults, and compares everything that it says with a
// model of what it must hold. It looks for what short tests cannot see: what grows, and what goes wrong once in a while.
package soak

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

var minutes = flag.Float64("minutes", 0, "how long the soak takes; by default 3, with -long 30")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}

const (
	workers = 16
	agents  = 8        // of each worker
	mark    = 16 << 20 // store.wal_bytes
	// mostMemory bounds what the daemon may ever have: 64 MiB of page cache; a batch of 16 MiB, twice, since its requests
	// are there as received and as pages; for each of some 20 connections a request and a reply of 1 MiB each; and all of
	// it twice, since Go's collector lets the heap grow to the double.
	mostMemory = 2 * (64 + 2*16 + 20*2) << 20
)

// soak is one run.
type soak struct {
	*harness.Daemon
	db     string
	args   []string
	random *rand.Rand // of the faults; each worker has its own

	// idle is held for reading by whoever is in the middle of something, and for writing where nobody may be.
	idle      sync.RWMutex
	done      chan struct{}
	running   sync.WaitGroup
	workers   []*worker
	outsider  outsider
	troubled  map[string]int // how often it had which trouble
	revisions revisions
	outcomes  outcomes
}

// TestSoak has a first third with kills and restarts, and then one daemon that has to stay as it was.
func TestSoak(t *testing.T) {
	length := 3 * time.Minute
	if harness.Long() {
		length = 30 * time.Minute
	}
	if *minutes > 0 {
		length = time.Duration(*minutes * float64(time.Minute))
	}
	s := start(t, harness.Random(t))
	s.trouble(t, length/3, slices.Concat(troubles, restarts))
	s.restart(t)
	warmUp := length / 30
	s.trouble(t, warmUp, troubles)
	before := s.rest(t)
	samples := s.watch(t)
	s.trouble(t, length*2/3-warmUp, troubles)
	list := samples()
	after := s.rest(t)
	t.Logf("at rest: at first %+v, at last %+v", before, after)
	if after.descriptors > before.descriptors || after.goroutines > before.goroutines {
		t.Error("the daemon has more descriptors or goroutines than it had")
	}
	close(s.done)
	s.running.Wait()
	logSamples(t, list)
	t.Logf("troubles: %v", s.troubled)
	s.outcomes.log(t)
	s.verify(t)
	s.checkMemory(t)
	harness.Eventually(t, "the log is short", func() bool { return s.Info(t).Number(t, "wal_bytes") <= mark+mark/4 })
	s.Stop(t)
	harness.MustCheck(t, s.db)
}

func start(t *testing.T, random *rand.Rand) *soak {
	t.Helper()
	db := harness.File(t)
	socket := filepath.Join(filepath.Dir(db), "s") // the same address for every daemon
	s := &soak{db: db, random: random, done: make(chan struct{}), troubled: map[string]int{}, outcomes: outcomes{counts: map[string]int{}},
		args: []string{"--redis", "unix:" + socket, "--log-level", "info", "--set", fmt.Sprintf("store.wal_bytes=%d", mark)}}
	s.Daemon = harness.Start(t, db, s.args...)
	for i := range workers {
		seed := random.Uint64()
		w := &worker{soak: s, n: i, random: rand.New(rand.NewPCG(seed, 0)), client: s.connect(t)} //nolint:gosec // repeatable on purpose
		for n := range agents {
			w.agents = append(w.agents, &agent{id: fmt.Sprintf("worker-%02d-%d", i, n)})
		}
		s.workers = append(s.workers, w)
	}
	for _, w := range s.workers {
		s.running.Go(func() { w.run(t) })
	}
	s.outsider.last = map[string]int{}
	s.running.Go(func() { s.writeOutside(t) })
	t.Cleanup(func() { // however it ends
		select {
		case <-s.done:
		default:
			close(s.done)
		}
		s.running.Wait()
	})
	return s
}

func (s *soak) connect(t *testing.T) *resp.Client {
	t.Helper()
	return s.Client(t, resp.ClientOptions{MaxBackoff: 50 * time.Millisecond})
}

func (s *soak) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// outcomes counts what callers are told.
type outcomes struct {
	mu     sync.Mutex
	counts map[string]int
}

func (o *outcomes) add(what string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	outcome := string(protocol.CodeOf(err))
	if err == nil {
		outcome = "applied"
	}
	o.counts[what+" "+outcome]++
}

func (o *outcomes) log(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	t.Logf("outcomes: %v", o.counts)
}

// revisions remembers which were given out.
type revisions struct {
	mu   sync.Mutex
	bits []uint64
}

// note enters a revision of a change, which nobody else may have.
func (r *revisions) note(t *testing.T, revision int64, id string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	word, bit := int(revision/64), uint64(1)<<(revision%64)
	if word >= len(r.bits) {
		r.bits = append(r.bits, make([]uint64, word+1-len(r.bits)+1024)...)
	}
	if r.bits[word]&bit != 0 {
		t.Errorf("revision %d was given to %s, and to somebody before", revision, id)
	}
	r.bits[word] |= bit
}
