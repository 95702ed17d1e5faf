package resp

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/limit"
)

// Options are the limits of a [Server]. The zero value of each field means its default.
type Options struct {
	// RequestBytes is the most bytes of one command, and of the commands queued by one MULTI. Default 64 MiB.
	RequestBytes int
	// Inflight bounds the bytes of requests over all connections, from before they are read until they are answered; a
	// read buffer's worth for each connection is free. Other front ends may share it. Default 512 MiB of its own.
	Inflight *limit.Bytes
	// OutputBytes is the most bytes of one reply, and of the replies that wait for one connection. The handler should
	// have the same limit for the states that a transaction loads, so that it refuses the transaction before anything
	// is applied. Default 32 MiB.
	OutputBytes int
	// StateBytes is the most bytes of one state. Default 8 MiB.
	StateBytes int
	// Connections bounds the clients that are connected at once. Other front ends may share it. Default 10,000 of its own.
	Connections *limit.Connections
	// Tokens are what clients have to authenticate with; they may change at any time. Default none: every client may do
	// everything.
	Tokens *auth.Keyring
	// RequestTimeout is how long a request may take, how long a command may wait for memory or for the rest of a
	// large argument, how long a large MULTI may wait for its next command, how long a client may take to accept
	// replies, to shake hands for TLS, and to authenticate if it has to. Default 30 s.
	RequestTimeout time.Duration
	// Version is what HELLO and INFO show. Default "dev".
	Version string
	// Info gives further lines of INFO. It is called for each INFO, from several goroutines at once, and must not
	// block for long. Default none.
	Info func() []Section
	// Refused is called for each error that the server answers itself, before a request reached the handler: bad
	// arguments, an unknown command, no permission, no room. It is called from several goroutines at once, and must
	// not block. Default none.
	Refused func(code protocol.Code)
	// Logger receives warnings and defects. The zero value is silent.
	Logger zerolog.Logger
}

// Section is one part of INFO's text. A section that the server has too (server, clients, stats, stated) is
// added to it.
type Section struct {
	Name   string
	Fields []Field
}

// Field is one line of INFO. Neither part may contain a line break, nor the key a colon.
type Field struct{ Key, Value string }

// Limits that are not configurable.
const (
	maxArgs      = 1_024     // arguments of a command
	maxManyArgs  = 65_536    // arguments of a command over many agents
	maxLineBytes = 64 << 10  // an inline command
	maxWatches   = 1_024     // agents that one connection watches
	maxLabel     = 256       // bytes of a client's name, or of its library's
	readBuffer   = 16 << 10  // bytes of a connection's read buffer, and of its free allowance
	writeBuffer  = 64 << 10  // bytes of replies after which they are sent, even in the middle of a run
	maxRun       = 1_024     // commands that are handed over together
	shortRun     = 64        // commands for which an idle connection keeps room
	maxRunBytes  = 256 << 10 // bytes after which a run is handed over

	maxPatternBytes = 4 << 10 // a pattern of KEYS, SCAN or CONFIG GET

	strangerArgs  = 9        // arguments of a command before authentication; with its name 10, as in Redis
	strangerBytes = 16 << 10 // bytes of a command before authentication, or of an inline one
	maxRefusals   = 64       // clients beyond the limit of connections that are told so at the same time
)

func (o Options) withDefaults() Options {
	setDefault(&o.RequestBytes, 64<<20)
	setDefault(&o.OutputBytes, 32<<20)
	setDefault(&o.StateBytes, protocol.MaxStateBytes)
	setDefault(&o.RequestTimeout, 30*time.Second)
	setDefault(&o.Version, "dev")
	if o.Inflight == nil {
		o.Inflight = limit.NewBytes(limit.DefaultBytes, o.RequestTimeout)
	}
	if o.Connections == nil {
		o.Connections = limit.NewConnections(limit.DefaultConnections)
	}
	if o.Tokens == nil {
		o.Tokens = &auth.Keyring{}
	}
	if o.Refused == nil {
		o.Refused = func(protocol.Code) {}
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
