// Package protocol is the vocabulary of stated: operations, requests, replies and errors, the same for the
// in-process actor and for every protocol on the wire.
//
// What may go in: what every front end and every store has to agree on. What may not: sockets, SQL, files,
// configuration. It imports the standard library and a hash function.
//
// # One operation
//
// An [Op] says what is wanted. Ops come only from constructors ([Save], [Load], [Delete], …), which validate
// the agent id and the JSON on the caller's goroutine, so that the writer never has to. A [Request] is an Op on
// its way: it carries the channel of its reply and knows whether its caller still waits. A [Handler] performs
// requests; [Methods] turns a Handler into plain method calls.
//
// # Outcomes
//
// Every request ends in one of three ways, and its error says which ([Code.Outcome]): it was applied (no
// error); it was not applied, by a fault or by a condition that did not hold; or nobody can tell ([CodeUnknown]),
// after a connection was lost or a disk refused to sync.
//
// # Order
//
// Each request takes effect at one instant between its start and its reply. The changes that one goroutine starts, one
// behind the other on one Handler, are applied in that order, also when it does not wait in between. A read that is
// started before an earlier change was answered may or may not see it.
package protocol
