// Package config reads the settings of stated: the defaults, a YAML file, the environment and the flags of the
// command line, of which the later win.
//
// What may go in: keys, their types, their limits and how they depend on each other. What may not: opening what
// they name, and any behaviour they control. A key exists only together with the code that obeys it.
//
// The file config.yaml is embedded and is the one source of the defaults; schema.yaml describes the same keys to
// editors. The struct [Config] fixes the keys, their order and their types.
//
// Loading is strict: an unknown key, a key given twice, a key without a value and a value of the wrong type are
// errors in every layer, also where a later layer overrides them. All problems are reported at once, as
// [Problems].
//
// # Values
//
// A duration is a number of seconds (4, 0.1) or a Go duration (4s, 100ms, 1m30s). A size, which every key
// that ends in _bytes is, is a number of bytes or a whole number and a unit: B, kB or KB, MB, GB, TB (powers of
// 1000), KiB, MiB, GiB, TiB (powers of 1024). A list is a YAML list or a text with commas: "a, b"; the empty
// text is the empty list. Tokens are a YAML list of mappings, in the environment and in flags too.
//
// # Environment
//
// The variable of a key is STATED_ and the key in upper case, with two underscores for the dot:
// STATED_STORE__PATH. Other variables that begin with STATED_ are errors, except those of the command line
// itself (STATED_ADDR, STATED_CONFIG, STATED_TOKEN) and those that Kubernetes sets for a service named stated.
package config

import (
	_ "embed"
	"reflect"
	"strings"
	"time"
)

// Config is the whole configuration.
type Config struct {
	Store    Store    `koanf:"store"`
	Actor    Actor    `koanf:"actor"`
	Limits   Limits   `koanf:"limits"`
	Timeouts Timeouts `koanf:"timeouts"`
	Server   Server   `koanf:"server"`
	Auth     Auth     `koanf:"auth"`
	Log      Log      `koanf:"log"`
}

// Store says where the data is and how it is kept.
type Store struct {
	Path       string `koanf:"path"`        // the SQLite file
	Durability string `koanf:"durability"`  // full, normal or off
	Readers    int    `koanf:"readers"`     // read connections; 0 = one for each CPU, at least 2
	CacheBytes int64  `koanf:"cache_bytes"` // pages that all connections together may cache
	HotBytes   int64  `koanf:"hot_bytes"`   // states kept in memory for loads; 0 = none
	WALBytes   int64  `koanf:"wal_bytes"`   // the write-ahead log is brought into the file when it has grown so large
	WALWrites  string `koanf:"wal_writes"`  // gathered or plain
	Commits    string `koanf:"commits"`     // pipelined or plain
}

// Actor bounds what waits for the writer and what it does at once.
type Actor struct {
	Mailbox      int   `koanf:"mailbox"`       // requests that may wait
	MailboxBytes int64 `koanf:"mailbox_bytes"` // and their bytes
	Batch        int   `koanf:"batch"`         // most requests in one transaction
	BatchBytes   int64 `koanf:"batch_bytes"`   // most bytes in one; a larger single request is a batch alone
}

// Limits bounds what clients can ask for.
type Limits struct {
	StateBytes    int   `koanf:"state_bytes"`    // largest state
	RequestBytes  int64 `koanf:"request_bytes"`  // largest command or transaction
	InflightBytes int64 `koanf:"inflight_bytes"` // request bytes over all connections
	OutputBytes   int64 `koanf:"output_bytes"`   // replies that wait for one slow reader
	Connections   int   `koanf:"connections"`    // open client connections
}

// Timeouts bounds every wait. The budget for a lock is the time of all its attempts and of the delays between
// them; a loaded configuration has a Request that is not shorter.
type Timeouts struct {
	StateStoreLock          time.Duration `koanf:"state_store_lock"`            // one attempt waits so long for a lock
	StateStoreRetryMax      int           `koanf:"state_store_retry_max"`       // attempts after the first
	StateStoreRetryBase     time.Duration `koanf:"state_store_retry_base"`      // first delay; each next one is twice as long
	StateStoreRetryMaxDelay time.Duration `koanf:"state_store_retry_max_delay"` // no delay is longer, jitter aside
	StateStoreRetryJitter   float64       `koanf:"state_store_retry_jitter"`    // random part of a delay, plus or minus; 0 to 1
	Request                 time.Duration `koanf:"request"`                     // one request, from its arrival to its reply
	Shutdown                time.Duration `koanf:"shutdown"`                    // to finish what was begun
}

// Server says where the daemon listens.
type Server struct {
	Redis     []string `koanf:"redis"`      // host:port or unix:/path each; empty = off
	HTTP      []string `koanf:"http"`       // likewise
	HTTPHosts []string `koanf:"http_hosts"` // host names that requests over loopback may name beside localhost
	TLS       TLS      `koanf:"tls"`
}

// TLS is the certificate of the TCP listeners. Both are empty, or neither is.
type TLS struct {
	Cert string `koanf:"cert"` // file with the certificate and those that lead to its authority, PEM
	Key  string `koanf:"key"`  // file with its private key, PEM
}

// Auth says who may do what.
type Auth struct {
	Tokens []Token `koanf:"tokens"` // empty: everybody may do everything
}

// Token lets a client do what its role allows. Secret or File is set, not both.
type Token struct {
	Name   string
	Secret string // of the key token; never shown
	File   string // of the key token_file: holds the secret
	Role   string // read, write or admin
}

// Log says what is logged and how.
type Log struct {
	Level       string        `koanf:"level"`        // trace, debug, info, warn or error
	Format      string        `koanf:"format"`       // auto, console or json
	SlowRequest time.Duration `koanf:"slow_request"` // requests that take longer are logged; 0 = none
}

//go:embed config.yaml
var defaultYAML []byte

// DefaultYAML gives the file config.yaml: every key with its default and its meaning.
func DefaultYAML() []byte { return append([]byte(nil), defaultYAML...) }

// Keys gives every key, in the order of config.yaml.
func Keys() []string {
	var keys []string
	for _, f := range fields() {
		keys = append(keys, f.key)
	}
	return keys
}

// kind tells how the value of a key is read and shown.
type kind uint8

const (
	kindText     kind = iota // string
	kindList                 // []string
	kindCount                // int64
	kindSize                 // int64, in bytes
	kindFraction             // float64
	kindDuration             // time.Duration
	kindTokens               // []Token
)

type field struct {
	key  string
	kind kind
}

// fields lists the keys of Config in order. Config is the only place where they are declared.
func fields() []field {
	return fieldsOf(reflect.TypeFor[Config](), "")
}

// fieldsOf lists the keys of a struct, whose fields that are structs are groups.
func fieldsOf(group reflect.Type, prefix string) []field {
	var all []field
	for i := range group.NumField() {
		f := group.Field(i)
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			all = append(all, fieldsOf(f.Type, key+".")...)
			continue
		}
		all = append(all, field{key, kindOf(key, f.Type)})
	}
	return all
}

func kindOf(key string, t reflect.Type) kind {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return kindDuration
	case t.Kind() == reflect.String:
		return kindText
	case t == reflect.TypeFor[[]Token]():
		return kindTokens
	case t.Kind() == reflect.Slice:
		return kindList
	case t.Kind() == reflect.Float64:
		return kindFraction
	case strings.HasSuffix(key, "_bytes"):
		return kindSize
	default:
		return kindCount
	}
}
