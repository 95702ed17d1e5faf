// Package conformance says, as one suite of tests, how every [protocol.Handler] behaves that leads to a store: the actor
// in this process, and each client of a front end. What differs from one of them to another is a defect, or is a field
// of [Fixture].
//
// What may go in: what callers can see through a handler. What may not: how a front end spells it, how a store keeps it.
//
// [Run] is for a handler that leads to an empty store. [RunErrors] is for a client and server with a handler of the suite's
// behind them, which answers whatever is to come out at the other end. [Compare] performs random operations on several
// handlers and on a map.
package conformance
