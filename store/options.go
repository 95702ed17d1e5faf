package store

import (
	"fmt"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
)

// Durability says what an acknowledged change survives.
type Durability string

// The durability levels, SQLite's synchronous=FULL, NORMAL and OFF.
const (
	DurabilityFull   Durability = "full"   // survives a power cut: each commit is fsynced before it is acknowledged
	DurabilityNormal Durability = "normal" // survives a crash of the process; a power cut may take back the last moments
	DurabilityOff    Durability = "off"    // as normal, and a power cut may damage the file
)

// WALWrites says how the frames of a commit are written into the write-ahead log.
type WALWrites string

// The ways to write the log. At a durability below full, on other systems than Linux, and with an SQLite that was not looked
// at, it is always WALPlain.
const (
	WALGathered WALWrites = "gathered" // many frames at once
	WALPlain    WALWrites = "plain"    // each by itself, in two writes, as SQLite does
)

// Commits says whether a batch is applied while the one before it is still being synced.
type Commits string

// The ways to commit. It is always CommitsPlain unless the log is written WALGathered.
const (
	CommitsPipelined Commits = "pipelined" // the sync of a batch runs beside the work for the next one
	CommitsPlain     Commits = "plain"     // one after the other
)

// Options of a store. The zero value of each field means its default.
type Options struct {
	// Durability is DurabilityFull by default.
	Durability Durability
	// Readers is the number of read connections; by default one for each CPU, at least 2.
	Readers int
	// CacheBytes is the memory for cached pages over all connections, three quarters of it for the writer; 64 MiB by default.
	CacheBytes int64
	// WALBytes is how large the write-ahead log may become before the writer itself brings it into the database, between
	// two batches; 256 MiB by default, at least 1 MiB. One batch, and what a long reader keeps there, come on top. A smaller
	// one makes that pause more often; a larger one takes more of the disk, and Open takes longer after a crash.
	WALBytes int64
	// WALWrites is WALGathered by default.
	WALWrites WALWrites
	// Commits is CommitsPipelined by default.
	Commits Commits
	// HotBytes is how much of the states that were loaded last is kept in memory; 32 MiB by default, negative for none. They
	// are exact. On other systems than Linux, and with an SQLite that was not looked at, none are kept.
	HotBytes int64
	// ReplyBytes is the most that the states and entries of one reply may add up to; 32 MiB by default.
	ReplyBytes int64
	// LockTimeout is how long one attempt waits for a lock of another process; 4 s by default, negative for not at all.
	LockTimeout time.Duration
	// Retry is the policy for "database is locked"; DefaultRetry when it is zero.
	Retry Retry
	// Logger gets a line for each retry and for each failure of the store; silent by default. It never gets a state.
	Logger zerolog.Logger
	// Progress is told how far Check, Backup and Restore have come; nobody by default.
	Progress Progress
	// OnCheckpoint is told of each checkpoint how long it took: one in the background, beside the writer, or one for which
	// the writer paused between two batches. It is called by the goroutine that made it, so it must neither block nor
	// call the store. Nobody by default.
	OnCheckpoint func(paused bool, took time.Duration)
	// Now is the clock of updated_at; time.Now by default.
	Now func() time.Time
}

func (o Options) withDefaults() (Options, error) {
	switch o.Durability {
	case "":
		o.Durability = DurabilityFull
	case DurabilityFull, DurabilityNormal, DurabilityOff:
	default:
		return o, protocol.Errorf(protocol.CodeInvalid, "durability %q is none of full, normal, off", o.Durability)
	}
	if err := o.chooseCommits(); err != nil {
		return o, err
	}
	if o.Readers == 0 {
		o.Readers = max(2, runtime.NumCPU())
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.WALBytes == 0 {
		o.WALBytes = 256 << 20
	}
	if o.HotBytes == 0 {
		o.HotBytes = 32 << 20
	}
	if !sqlite.CanGather() {
		o.HotBytes = -1
	}
	if o.ReplyBytes == 0 {
		o.ReplyBytes = 32 << 20
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = 4 * time.Second
	}
	o.LockTimeout = max(o.LockTimeout, 0)
	if o.Retry.isZero() {
		o.Retry = DefaultRetry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Readers < 1 || o.CacheBytes < 0 || o.ReplyBytes < 0 {
		return o, protocol.Errorf(protocol.CodeInvalid, "a store option is negative: %s",
			fmt.Sprintf("readers %d, cache bytes %d, reply bytes %d", o.Readers, o.CacheBytes, o.ReplyBytes))
	}
	if o.WALBytes < leastWALBytes {
		return o, protocol.Errorf(protocol.CodeInvalid, "a write-ahead log of %d bytes is too small: at least %d", o.WALBytes, leastWALBytes)
	}
	return o, nil
}

// chooseCommits settles how the log is written and synced.
func (o *Options) chooseCommits() error {
	switch o.WALWrites {
	case "":
		o.WALWrites = WALGathered
	case WALGathered, WALPlain:
	default:
		return protocol.Errorf(protocol.CodeInvalid, "the write-ahead log cannot be written %q: gathered or plain", o.WALWrites)
	}
	if o.Durability != DurabilityFull || !sqlite.CanGather() {
		o.WALWrites = WALPlain
	}
	switch o.Commits {
	case "":
		o.Commits = CommitsPipelined
	case CommitsPipelined, CommitsPlain:
	default:
		return protocol.Errorf(protocol.CodeInvalid, "commits cannot be made %q: pipelined or plain", o.Commits)
	}
	if o.WALWrites != WALGathered {
		o.Commits = CommitsPlain
	}
	return nil
}

// leastWALBytes is some 250 pages: below it the writer would be busy with checkpoints alone.
const leastWALBytes = 1 << 20
