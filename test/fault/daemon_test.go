//go:build system

package fault

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestKill_Daemon is TestKill through the daemon and the Redis protocol. Its goroutines change threads, so which call
// comes to be the nth of its thread differs from run to run; what is hit is logged.
func TestKill_Daemon(t *testing.T) {
	hit, sync := map[string]int{}, logSync(t)
	for _, kind := range []point{{call: "pwrite64", file: "-wal"}, {call: sync, file: "-wal"}, {call: "pwrite64"}, {call: "fsync"}} {
		for n := 1; ; n = next(n) {
			p := kind
			p.n = n
			if !killDaemonAt(t, p) {
				break
			}
			hit[strings.TrimSpace(p.call+" "+p.file)]++
		}
	}
	t.Logf("killed at %v", hit)
	if hit["pwrite64 -wal"] == 0 || hit[sync+" -wal"] == 0 || hit["pwrite64"] == 0 {
		t.Error("some kind of call was not hit at all")
	}
}

// logSync gives the call that syncs the log for a commit of a daemon: its own, or SQLite's.
func logSync(t *testing.T) string {
	t.Helper()
	d := harness.Start(t, filepath.Join(t.TempDir(), "agents.db"))
	defer d.Stop(t)
	if d.Info(t)["commits"] == string(store.CommitsPipelined) {
		return "fdatasync"
	}
	return "fsync"
}

// next gives the call to break after the nth.
func next(n int) int {
	if harness.Long() {
		return n + 1
	}
	return n + 1 + n/2
}

// killDaemonAt lets a client take the script's steps, and ends the daemon, until it is killed, and looks what is left.
func killDaemonAt(t *testing.T, p point) bool {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	out := filepath.Join(t.TempDir(), "trace")
	d := harness.Start(t, db)
	tracer := harness.Spawn(t, harness.Command{
		Path: "strace",
		Args: append(under(out, p.inject(db, "signal=SIGKILL", 1)...)[2:], "-p", fmt.Sprint(d.Pid())),
	})
	attached(t, tracer)
	b := newBelief(0, changesOf(aloneScript()), nil)
	converse(t, d, b)
	d.Signal(t, syscall.SIGTERM)
	for _, p := range []*harness.Process{d.Process, tracer} {
		select {
		case <-p.Gone():
		case <-time.After(harness.Patience):
			t.Fatalf("it does not end:\n%s", p.Output())
		}
	}
	trace := readTrace(t, out)
	if trace.Killed {
		b.crashed()
	}
	if err := look(guarded(t), db, b); err != nil {
		t.Errorf("killed at %v: %v", p, err)
	}
	return trace.Killed
}

// attached waits until strace has hold of the process.
func attached(t *testing.T, tracer *harness.Process) {
	t.Helper()
	for ctx := guarded(t); !strings.Contains(tracer.Output(), "attached"); {
		if err := pause(ctx); err != nil {
			t.Fatalf("strace does not attach:\n%s", tracer.Output())
		}
	}
}

// changesOf leaves out what is done between changes.
func changesOf(steps []step) (changes []step) {
	for _, s := range steps {
		if s.changes() {
			changes = append(changes, s)
		}
	}
	return changes
}

// converse takes the steps through the daemon, as long as it lives.
func converse(t *testing.T, d *harness.Daemon, b *belief) {
	t.Helper()
	c, err := resp.Dial(guarded(t), d.Addr, resp.ClientOptions{})
	if err != nil {
		return // it is gone
	}
	defer func() { _ = c.Close() }() // it always returns nil
	r := &runner{
		do: func(ctx context.Context, op protocol.Op) (protocol.Reply, error) { return protocol.Do(ctx, c, op) },
		say: func(line string) {
			if err := b.hear(line); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		},
	}
	if err := r.run(guarded(t), 0, b.steps); err != nil {
		if code := protocol.CodeOf(err); code != protocol.CodeUnavailable && code != protocol.CodeUnknown {
			t.Errorf("after the kill a client says %v", err)
		}
	}
}
