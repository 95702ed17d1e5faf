package protocol

// Batch is what a writer hands to its store: the requests that shall share one durable transaction. Which they
// are is settled only once the store holds its write lock, so that those who came while it waited may join, and
// those who left drop out.
type Batch interface {
	// Asking says that attempt number attempt, from 1, asks for the lock now, and may have to wait for another process.
	Asking(attempt int)
	// Take gives the operations to apply, in order. It is called under the write lock, once for each attempt.
	// From then on a caller who leaves is told UNKNOWN.
	Take() []*Op
	// Release says that the attempt was rolled back: nothing of it was applied, and callers may leave again.
	Release()
}
