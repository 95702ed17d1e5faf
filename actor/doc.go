// Package actor is the single writer: one goroutine that owns the right to change the store, and everyone else's way
// to it. It is what a Go program links:
//
//	s, err := store.Open(ctx, "agents.db", store.Options{})
//	a := actor.New(s, actor.Options{})
//	_, err = a.Save(ctx, "alice", []byte(`{"turn":1}`))
//
// What may go in: goroutines, channels, who waits for whom and until when. What may not: SQL, sockets.
//
// # The loop
//
//	callers ── Start ──▶ mailbox ──▶ writer: block for one request
//	workers ── Requests() ─▶ intake ─┘         wait for the store's write lock
//	                                           take what else is waiting, bounded by count and bytes
//	                                           apply, one commit
//	                                                │
//	                                           syncing: make it durable
//	                                           answer everyone ──▶ reply channels
//	callers ── loads, lists ──▶ store readers, on the caller's own goroutine
//
// No timer forms the batches: while one commit is being synced, the next batch fills, and with many callers is applied, too;
// see pipeline.go. A request counts as taken only
// once the lock is held; until then its caller may leave and is told "not applied", after that "outcome unknown".
//
// # Stopping
//
// [Actor.Close] refuses new requests, lets the writer finish what is in the mailbox, and waits for it. Nobody is left
// waiting: a waiter looks at its reply, its context and [Actor.Done]. If the writer dies of a defect, every waiter
// is told at once.
package actor
