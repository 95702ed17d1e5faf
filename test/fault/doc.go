// Package fault shows what becomes of acknowledged changes when system calls fail, when the process is killed at any of
// them, and when the power is cut between any two. strace sees the calls, breaks them, and records what they wrote.
//
// What may go in: the recorded calls, what a disk may make of them, and the tests that need strace (build tag system).
// What may not: tests that break nothing below the file system's interface, and anything about the wire but counting replies.
//
// # How a kill is put at one call
//
// strace counts the calls that it breaks for each thread and each kind of call, and Go moves goroutines from thread to
// thread. So the program under test keeps to one thread: it calls [store.Store.Apply] from a goroutine that is locked to
// it, without the actor, and SQLite, being Go code, runs there too. What the store's own goroutine does (checkpoints) is
// on other threads. strace looks at one file at a time, so that their calls are not counted as the writer's.
package fault
