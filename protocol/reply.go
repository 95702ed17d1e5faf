package protocol

import "time"

// Reply is what became of a request. Which fields are set depends on the operation.
type Reply struct {
	// Err is nil when the operation was applied. It is always an *Error in this package's vocabulary.
	Err error
	// Found says whether the agent existed before the operation: false for a save that created it, for a delete
	// that found nothing and, in a transaction, for a load that did. (A load alone answers NOT_FOUND.)
	Found bool
	// Skipped says that the condition of an operation marked [Op.OrSkip] did not hold.
	Skipped bool
	// Revision is the one that the change took, or the one of the record that was read; 0 for a delete of nothing.
	Revision int64
	// UpdatedAt is when the agent was last changed, in UTC and milliseconds; zero where the file holds no readable time.
	UpdatedAt time.Time
	// State is what a load read, byte for byte as it was saved.
	State []byte
	// Bytes is the length of the state, for load and stat.
	Bytes int64
	// Count is the number of agents counted or removed by a clear; for a scan it is the next cursor, 0 at the end.
	Count int64
	// Entries is a page of a list or scan.
	Entries []Entry
	// Next is what to pass as after for the next page of a list; empty when no agent follows.
	Next string
	// Replies answers the operations of a transaction, one each.
	Replies []Reply
}

// Entry is one agent in a list.
type Entry struct {
	ID        string
	Revision  int64
	UpdatedAt time.Time // zero where the file holds no readable time
	Bytes     int64     // length of the state
}
