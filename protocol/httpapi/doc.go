// Package httpapi puts stated's vocabulary on HTTP: a [Server] that lets curl, browsers and every other client talk to
// a [protocol.Handler], and a Go [Client] that is one.
//
// What may go in: routes, headers, JSON around states, and the words of replies. What may not: storage, configuration
// files, anything that another front end would need too.
//
// # Guarantees
//
// States pass byte for byte, also inside a transaction. A reply is complete in memory before its first byte is
// written, so a client that reads slowly holds nothing open in the store. Bytes of a body are reserved before they
// are read, and memory grows with the bytes that came, never with those that were announced. Each request ends by
// [Options.RequestTimeout], however slowly its client sends or reads.
//
// # Reading the source
//
// server.go accepts, exchange.go takes one request from its route (routes.go) over the checks of who asks (guard.go)
// to its reply; an error becomes a problem (problem.go). The routes: agents.go for one agent, with conditions.go;
// collection.go for all of them; transactions.go with ops.go and json.go, which read their JSON; watch.go for probes and metrics.
// openapi.yaml describes it to programs, and a test holds it to the routes.
//
// The client: client.go is the handler; client_ops.go and client_txn.go turn operations into requests and answers into
// replies, client_problem.go the errors. client_send.go sends a request and knows whether anything of it was written;
// client_conn.go has the connections.
package httpapi
