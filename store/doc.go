// Package store keeps agents in one SQLite file: it opens or adopts the file, applies one batch of operations in
// one durable transaction, and reads.
//
// What may go in: everything that knows SQL, SQLite or the file. Nothing above this package does.
//
// # Connections
//
// One read-write connection belongs to whoever calls [Store.Apply], one caller at a time: the writer. A few
// query_only connections serve reads, each used by one goroutine at a time. See package
// store/sqlite for what a connection is.
//
// # Guarantees
//
// With [DurabilityFull] a batch that Apply reports as applied has been fsynced into the write-ahead log. Apply
// says of a batch that failed whether it was certainly not applied, or whether that is unknown; after an unknown
// outcome the connection is closed and the next batch begins from what the file really holds. Revisions are
// taken from a counter inside the file, in the transaction of the change.
//
// # Caveats
//
// The process must never open the database or its -shm by itself: on Linux open file description locks
// protect the database file, but those of the -shm are POSIX locks, which any close drops (readAside looks for them
// first). On the -wal there are no locks.
// Two copies of SQLite in one process (this one and a C one) on the same file are not safe for the same reason.
package store
