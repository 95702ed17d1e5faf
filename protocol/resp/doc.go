// Package resp puts stated's vocabulary on the Redis protocol: a [Server] that lets any Redis client talk to a
// [protocol.Handler], and a [Client] that is such a handler at the other end of the wire.
//
// What may go in: the codec of RESP2 and RESP3, Redis's commands and the words of their replies. What may not:
// storage, configuration files, anything that another front end would need too.
//
// # Guarantees
//
// A pipeline is read as far as it has come, submitted whole and answered in order. It is not atomic. Each
// command sees the effects of all earlier commands of its connection and of no later one: consecutive writes
// are handed over together, so that they share a commit; a read waits until every earlier write is answered.
//
// After the end of the input, commands that came completely still run. A connection that was reset cancels what
// the handler has not taken yet.
//
// Memory grows with the bytes that came, never with the bytes that were announced, and bytes beyond a small free
// allowance are reserved before they are read.
//
// Where tokens are configured, a client that has yet to authenticate may send little, and has the request timeout for
// it. What a client may do is checked for each command, again by EXEC, and for each operation; a token that is taken
// away counts from the next command on. No token is ever logged, shown or repeated in an error.
//
// The client never sends a request twice. When a connection is lost, a request that may have reached the other
// end is UNKNOWN; one that was not begun is UNAVAILABLE.
//
// # Reading the source
//
// Server: server.go and admit.go accept, conn.go owns one connection, reader.go parses with decoder.go, executor.go
// submits and answers with output.go, access.go says who may. Commands are entries of the table in table.go, one file
// (cmd_*.go) a family; a command on agents is a plan (plan.go), which serves alone and in MULTI alike. COMMANDS.md is
// made from that table. Client: client.go, link.go.
package resp
