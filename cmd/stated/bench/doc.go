// Package bench puts load on a [protocol.Handler], whatever performs it, and measures what comes back.
//
// It is a closed loop: each client sends its next requests when it has the answers to those before. So the clients set
// the load, a stall keeps them from sending, and the requests that were not sent meanwhile are in no latency.
//
// It writes no agents but its own, whose ids begin with [Prefix]. All that it sends follows from [Options.Seed] and the
// number of clients; only the order in which the clients get their turns does not.
//
// What may go in: workloads, figures, tables and plots of them. What may not: flags, files, and how to connect.
package bench
