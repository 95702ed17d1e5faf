//go:build soak

package soak

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/test/harness"
)

// sample is what the daemon uses at one moment.
type sample struct{ memory, descriptors, threads, goroutines, log, db int64 }

var columns = []struct {
	name string
	of   func(sample) int64
}{
	{"memory kB", func(s sample) int64 { return s.memory >> 10 }},
	{"descriptors", func(s sample) int64 { return s.descriptors }},
	{"threads", func(s sample) int64 { return s.threads }},
	{"goroutines", func(s sample) int64 { return s.goroutines }},
	{"-wal kB", func(s sample) int64 { return s.log >> 10 }},
	{"file kB", func(s sample) int64 { return s.db >> 10 }},
}

func (s *soak) sample(t *testing.T) sample {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	i := s.Info(t)
	return sample{
		memory: harness.Memory(t, s.Pid(), "VmRSS"), descriptors: int64(len(entries)), threads: int64(len(threads)),
		goroutines: i.Number(t, "goroutines"), log: i.Number(t, "wal_bytes"), db: i.Number(t, "db_bytes"),
	}
}

// rest lets nobody do anything, and gives what the daemon uses then.
func (s *soak) rest(t *testing.T) (now sample) {
	t.Helper()
	s.idle.Lock()
	defer s.idle.Unlock()
	for _, w := range s.workers { // so that each has its connection
		w.load(t, w.agents[0])
	}
	same, begun := sample{}, time.Now() // some connections may be just about to end
	harness.Eventually(t, "the daemon is at rest for a second", func() bool {
		now = s.sample(t)
		if now.descriptors != same.descriptors || now.goroutines != same.goroutines {
			same, begun = now, time.Now()
		}
		return time.Since(begun) > time.Second
	})
	return now
}

// watch samples until the function is called, which gives the samples.
func (s *soak) watch(t *testing.T) func() []sample {
	t.Helper()
	var list []sample
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-s.done:
				return
			case <-ticker.C:
				list = append(list, s.sample(t))
			}
		}
	})
	var once sync.Once
	stop := func() { once.Do(func() { close(done) }); watcher.Wait() }
	t.Cleanup(stop)
	return func() []sample {
		stop()
		return list
	}
}

// logSamples shows the first third of the time beside the last one.
func logSamples(t *testing.T, list []sample) {
	t.Helper()
	if len(list) < 3 {
		t.Fatalf("%d samples: it was too short", len(list))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d samples of one daemon\n%-12s %24s %24s\n", len(list), "", "first third: mean, most", "last third: mean, most")
	third := len(list) / 3
	for _, c := range columns {
		mean1, most1 := summary(list[:third], c.of)
		mean3, most3 := summary(list[len(list)-third:], c.of)
		fmt.Fprintf(&b, "%-12s %12d %11d %12d %11d\n", c.name, mean1, most1, mean3, most3)
	}
	t.Log(b.String())
}

func summary(list []sample, of func(sample) int64) (mean, most int64) {
	for _, s := range list {
		mean += of(s)
		most = max(most, of(s))
	}
	return mean / int64(len(list)), most
}

// checkMemory expects that the daemon never had more than it may.
func (s *soak) checkMemory(t *testing.T) {
	t.Helper()
	most := harness.Memory(t, s.Pid(), "VmHWM")
	t.Logf("the daemon had at most %d MiB, it may have %d", most>>20, mostMemory>>20)
	if most > mostMemory {
		t.Errorf("the daemon had %d MiB", most>>20)
	}
}
