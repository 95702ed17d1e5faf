package store

import (
	"sync"
	"time"
)

// Progress is called now and then by operations that can take long: [Check], [Backup] and [Restore]. It is called by one
// goroutine at a time, and holds the operation up while it runs.
type Progress func(Step)

// Step is how far an operation has come in what it is doing.
type Step struct {
	Name  string // "copy" in bytes, "integrity" without numbers, "rows" in agents
	Done  int64
	Total int64 // 0 where nobody knows
	Bytes bool  // Done and Total are bytes
}

// reportEvery is how often a step tells of itself, in time or in rows.
const (
	reportEvery     = 100 * time.Millisecond
	reportEveryRows = 1024
)

func (p Progress) report(s Step) {
	if p != nil {
		p(s)
	}
}

// watch reports the size of a file that grows up to about total bytes, until stop. SQLite tells nothing while it writes
// a copy.
func (p Progress) watch(name, path string, total int64) (stop func()) {
	if p == nil {
		return func() {}
	}
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			p(Step{Name: name, Done: min(sizeOf(path), total), Total: total, Bytes: true})
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		watcher.Wait()
	}
}
