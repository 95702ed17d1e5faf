package httpapi

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/limit"
)

// Options are the limits of a [Server], and what it can tell beside agents. The zero value of each field means its default.
type Options struct {
	// RequestBytes is the most bytes of one body. Default 64 MiB.
	RequestBytes int
	// StateBytes is the most bytes of one state. Default 8 MiB.
	StateBytes int
	// Inflight bounds the bytes of bodies over all connections, from before they are read until they are answered; the
	// first 16 KiB of each are free. Other front ends may share it. Default 512 MiB of its own.
	Inflight *limit.Bytes
	// Connections bounds the clients that are connected at once. Other front ends may share it. Default 10,000 of its own.
	Connections *limit.Connections
	// Tokens are what clients have to authenticate with. Default none: every client may do everything.
	Tokens *auth.Keyring
	// Hosts are host names that requests over loopback may be for, beside localhost and loopback addresses.
	Hosts []string
	// RequestTimeout is how long a request may take, how long its body may take to come, and how long its client may
	// take to accept the reply. Default 30 s.
	RequestTimeout time.Duration
	// Version is what /v1/info shows. Default "dev".
	Version string
	// Info gives further members of /v1/info. It must not block for long. Default none.
	Info func() map[string]any
	// Alive returns an error when nothing but a restart helps. Default: it never does.
	Alive func() error
	// Ready gives the checks of /readyz. Default none.
	Ready func() []Check
	// Metrics serves /metrics. Default: there are none.
	Metrics http.Handler
	// Refused is told the code of each error that did not come from the handler. It must not block. Default none.
	Refused func(protocol.Code)
	// Logger receives warnings and defects. The zero value is silent.
	Logger zerolog.Logger
}

// Check is one thing that has to hold for the daemon to take requests.
type Check struct {
	Name string
	Err  error // nil: it holds
}

// Limits that are not configurable.
const (
	maxHeaderBytes = 32 << 10  // the request line and all header lines; net/http adds 4 KiB
	freeBodyBytes  = 16 << 10  // of each body, which are not reserved
	maxUnread      = 256 << 10 // of a body that is not wanted, after which the connection goes on; as in net/http
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
)

func (o Options) withDefaults() Options {
	setDefault(&o.RequestBytes, 64<<20)
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
	if o.Info == nil {
		o.Info = func() map[string]any { return nil }
	}
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	if o.Ready == nil {
		o.Ready = func() []Check { return nil }
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
