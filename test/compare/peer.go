package main

import (
	"fmt"
	"slices"
)

// peer is one open store of states by agent id. A save returns once the state is on disk, a load gives a copy. Both are
// called by many goroutines at once.
type peer interface {
	save(id string, state []byte) error
	load(id string) ([]byte, error)
	close() error
}

// batcher is a peer that can also write many agents in one durable transaction. Only one goroutine uses it.
type batcher interface {
	saveAll(items []item) error
}

// item is one agent to write.
type item struct {
	id    string
	state []byte
}

// kind is a store that can be measured in this process.
type kind struct {
	name   string
	module string // whose version is shown
	how    string // how it writes durably, for the report
	open   func(dir string, clients int) (peer, error)
}

var kinds = []kind{
	{stated, "github.com/stated/stated", "the library: one writer, group commit, durability full", openStated},
	{naive, sqliteModule, "an SQLite connection for each goroutine; BEGIN IMMEDIATE, upsert, COMMIT; WAL, synchronous=FULL, busy timeout 30 s; reads by a pool of 4", openNaive},
	{bbolt, "go.etcd.io/bbolt", "DB.Batch, MaxBatchSize as many as there are callers, MaxBatchDelay 1 ms; DB.View", openBbolt},
	{pebble, "github.com/cockroachdb/pebble/v2", "Set with Sync; Get; cache and memtable of 64 MiB", openPebble},
	{redka, "github.com/nalgeon/redka", "over modernc.org/sqlite, synchronous=FULL; Str().Set; Str().Get", openRedka},
	{bareDriver, sqliteModule, "one goroutine, one connection, the driver's prepared statements; WAL, synchronous=FULL, a cache of 64 MiB, a checkpoint each 10,000 pages", openBareDriver},
	{bareSQL, sqliteModule, "as the driver, with prepared statements of database/sql", openBareSQL},
}

// The names of the systems, as the tables show them.
const (
	stated     = "stated"
	naive      = "naive pattern"
	bbolt      = "bbolt"
	pebble     = "Pebble"
	redka      = "Redka"
	bareSQL    = "database/sql"
	bareDriver = "driver"
	redis      = "Redis"
)

const sqliteModule = "modernc.org/sqlite"

// names gives what -peers can name.
func names() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return append(all, redis)
}

func kindOf(name string) (kind, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, fmt.Errorf("no store is called %q", name)
	}
	return kinds[i], nil
}
