package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
)

// pinnedBy names the processes that keep the write-ahead log from ending.
func pinnedBy(pin *store.Pin) string {
	switch {
	case pin == nil:
		return ""
	case len(pin.Pids) == 0:
		return "unknown"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(pin.Pids), " ", ","), "[]")
}

// fact is one thing that the daemon tells of its writer and its store.
type fact struct {
	key   string
	value any // a string, a bool, an int or an int64
}

// facts are what INFO and /v1/info show.
func (d *daemon) facts() []fact {
	s, a, v := d.store.Info(), d.actor.Info(), readAbout()
	return []fact{
		{"commit", v.Commit},
		{"sqlite_version", s.SQLiteVersion},
		{"schema_version", s.SchemaVersion},
		{"path", s.Path},
		{"store_id", s.StoreID},
		{"durability", string(s.Durability)},
		{"wal_writes", string(s.WALWrites)},
		{"commits", string(s.Commits)},
		{"ofd_locks", s.OFDLocks},
		{"health", string(s.Health.State)},
		{"health_reason", s.Health.Reason},
		{"db_bytes", s.DBBytes},
		{"wal_bytes", s.WALBytes},
		{"wal_pinned_by", pinnedBy(s.WALPin)},
		{"checkpoints", s.Checkpoints},
		{"checkpoints_between_batches", s.WALEnded},
		{"checkpoint_longest_pause_ms", s.LongestEnd.Milliseconds()},
		{"checkpoints_failed", s.CheckpointErr},
		{"resident_bytes", residentBytes()},
		{"goroutines", runtime.NumGoroutine()},
		{"mailbox_depth", a.Waiting},
		{"batches", a.Batches},
		{"batch_requests", a.Requests},
		{"batch_largest", a.LargestBatch},
		{"commit_syncs", s.Syncs},
		{"hot_loads", s.HotLoads},
		{"lock_retries", s.LockRetries},
		{"lock_gave_up", s.LockGaveUp},
		{"outside_writes", s.OutsideWrites},
		{"in_doubt", s.InDoubt},
	}
}

// sections give the facts to INFO.
func (d *daemon) sections() []resp.Section {
	own := resp.Section{Name: "stated"}
	for _, f := range d.facts() {
		own.Fields = append(own.Fields, resp.Field{Key: f.key, Value: fmt.Sprint(f.value)})
	}
	return []resp.Section{own}
}

// members give the facts to /v1/info.
func (d *daemon) members() map[string]any {
	all := map[string]any{}
	for _, f := range d.facts() {
		all[f.key] = f.value
	}
	return all
}
