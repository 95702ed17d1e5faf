// Package limit bounds what clients may take, whichever front end they come by: bytes of requests that are being read or
// performed, open connections, and the time of a request.
//
// What may go in: a bound that the front ends share. What may not: a bound of one front end alone.
package limit

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/stated/stated/protocol"
)

// Defaults of the two bounds.
const (
	DefaultBytes       = 512 << 20
	DefaultConnections = 10_000
)

// Bytes is the memory that the requests of all clients may take together.
type Bytes struct {
	sem     *semaphore.Weighted
	total   int
	timeout time.Duration
}

// NewBytes makes a bound of total bytes. Who finds no room waits for the timeout at most.
func NewBytes(total int, timeout time.Duration) *Bytes {
	return &Bytes{sem: semaphore.NewWeighted(int64(total)), total: total, timeout: timeout}
}

// TryAcquire takes n bytes if there is room. It never blocks.
func (b *Bytes) TryAcquire(n int) bool { return b.sem.TryAcquire(int64(n)) }

// Acquire takes n bytes. It blocks until there is room, for the timeout at most, or until ctx ends, and returns
// OVERLOADED if that is too short.
func (b *Bytes) Acquire(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if n <= b.total && b.sem.Acquire(ctx, int64(n)) == nil {
		return nil
	}
	return protocol.Errorf(protocol.CodeOverloaded,
		"the requests of all connections take more than %d bytes (limits.inflight_bytes)", b.total)
}

// Release gives n bytes back.
func (b *Bytes) Release(n int) { b.sem.Release(int64(n)) }

// Connections counts open connections.
type Connections struct {
	most int64
	open atomic.Int64
}

// NewConnections makes a bound of so many connections.
func NewConnections(most int) *Connections { return &Connections{most: int64(most)} }

// Enter counts one more connection, unless there is no room.
func (c *Connections) Enter() bool {
	if c.open.Add(1) <= c.most {
		return true
	}
	c.open.Add(-1)
	return false
}

// Leave counts one less.
func (c *Connections) Leave() { c.open.Add(-1) }

// Most is how many there may be.
func (c *Connections) Most() int { return int(c.most) }
