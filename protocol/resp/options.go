package resp

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
)

// Options are the limits of a [Server]. The zero value of each field means its default.
type Options struct {
	// RequestBytes is the most bytes of one command, and of the commands queued by one MULTI. Default 64 MiB.
	RequestBytes int
	// InflightBytes is the most bytes of commands over all connections, from before they are read until they are
	// answered. A read buffer's worth for each connection is free. Default 512 MiB.
	InflightBytes int
	// OutputBytes is the most bytes of one reply, and of the replies that wait for one connection. The handler should
	// have the same limit for the states that a transaction loads, so that it refuses the transaction before anything
	// is applied. Default 32 MiB.
	OutputBytes int
	// StateBytes is the most bytes of one state. Default 8 MiB.
	StateBytes int
	// Connections is how many clients may be connected at once. Default 10,000.
	Connections int
	// RequestTimeout is how long a request may take, how long a command may wait for memory or for the rest of a
	// large argument, how long a large MULTI may wait for its next command, and how long a client may take to accept
	// replies. Default 30 s.
	RequestTimeout time.Duration
	// Version is what HELLO and INFO show. Default "dev".
	Version string
	// Info gives further lines of INFO. It is called for each INFO, from several goroutines at once, and must not
	// block for long. Default none.
	Info func() []Section
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
	maxRunBytes  = 256 << 10 // bytes after which a run is handed over

	maxPatternBytes = 4 << 10 // a pattern of KEYS, SCAN or CONFIG GET
)

func (o Options) withDefaults() Options {
	setDefault(&o.RequestBytes, 64<<20)
	setDefault(&o.InflightBytes, 512<<20)
	setDefault(&o.OutputBytes, 32<<20)
	setDefault(&o.StateBytes, protocol.MaxStateBytes)
	setDefault(&o.Connections, 10_000)
	setDefault(&o.RequestTimeout, 30*time.Second)
	setDefault(&o.Version, "dev")
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
