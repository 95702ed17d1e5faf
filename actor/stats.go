package actor

import (
	"sync/atomic"
	"time"
)

type stats struct {
	batches, requests, bytes, largest atomic.Int64
	blocked                           atomic.Int64
}

func (s *stats) batch(requests, bytes int) {
	s.batches.Add(1)
	s.requests.Add(int64(requests))
	s.bytes.Add(int64(bytes))
	if n := int64(requests); n > s.largest.Load() { // one goroutine at a time stores it
		s.largest.Store(n)
	}
}

// Info is what an actor tells of itself.
type Info struct {
	Waiting      int           // requests in the mailbox
	WaitingBytes int64         // bytes of those, and of what is in hand, which holds its room until it is answered
	Blocked      int64         // callers that wait for room in the mailbox
	Working      time.Duration // for how long the writer has had a batch in hand, or waits for one to be synced; 0 when it has none
	Batches      int64         // transactions that were committed
	Requests     int64         // requests in them
	Bytes        int64         // bytes of those requests
	LargestBatch int64         // most requests in one
}

// Info gives counters. It never blocks.
func (a *Actor) Info() Info {
	info := Info{
		Waiting: len(a.mailbox), WaitingBytes: a.room.used.Load(), Blocked: a.stats.blocked.Load(),
		Batches: a.stats.batches.Load(), Requests: a.stats.requests.Load(),
		Bytes: a.stats.bytes.Load(), LargestBatch: a.stats.largest.Load(),
	}
	if since := a.working.Load(); since != 0 {
		info.Working = time.Duration(a.now() - since)
	}
	return info
}
