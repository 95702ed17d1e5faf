// Package protocol is the vocabulary of stated: operations, requests, replies and errors, the same for the
// in-process actor, the Redis protocol and HTTP.
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
// Requests of one caller that waits for each reply happen in that order. Requests that were started and not yet
// answered are concurrent: each of them takes effect at one instant between its start and its reply.
package protocol
