//go:build system

package fault

import (
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// TestErrno_Daemon is TestErrno through the daemon and the Redis protocol: what a client is told. strace counts the calls
// of each thread by itself, and the daemon has many, so more than one may fail, and which is hit differs from run to run.
func TestErrno_Daemon(t *testing.T) {
	sync := logSync(t)
	for _, errno := range []string{"EIO", "ENOSPC", "EINTR"} {
		t.Run(errno, func(t *testing.T) {
			total, failed := map[string]int{}, 0
			for _, p := range []point{{call: "pwrite64", file: "-wal"}, {call: sync, file: "-wal"}, {call: "pwrite64"}, {call: "fsync"}} {
				p.phase = changing
				for n := 1; n <= 12; n = next(n) {
					p.n = n
					failed += failDaemonAt(t, p, errno, total)
				}
			}
			t.Logf("%d calls failed; outcomes: %v", failed, total)
			if failed == 0 {
				t.Error("nothing failed")
			}
			if errno == "EIO" && total[string(protocol.OutcomeUnknown)] == 0 {
				t.Error("no client was told UNKNOWN")
			}
		})
	}
}

// failDaemonAt lets a client take the script's steps through a daemon of which a call fails, and looks what the client was
// told and what is left. It gives how many calls failed.
func failDaemonAt(t *testing.T, p point, errno string, total map[string]int) (failed int) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "agents.db")
	out := filepath.Join(t.TempDir(), "trace")
	d := harness.Start(t, db)
	tracer := harness.Spawn(t, harness.Command{
		Path: "strace", Args: append(under(out, p.inject(db, "error="+errno, 1)...)[2:], "-p", fmt.Sprint(d.Pid())),
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
	for _, c := range readTrace(t, out).Calls {
		if c.Injected {
			failed++
		}
	}
	want := lasting(p, errno)
	for code, n := range b.codes {
		total[string(code.Outcome())] += n
		if code != want.must && !slices.Contains(want.may, code) {
			t.Errorf("%s at %v: a change got %s", errno, p, code)
		}
	}
	if errno == "EINTR" && p.call != "fsync" && len(b.codes) > 0 {
		t.Errorf("%s at %v: a call that is to be repeated was reported: %v", errno, p, b.codes)
	}
	if n := b.codes[protocol.CodeUnknown]; n > failed {
		t.Errorf("%s at %v: %d calls failed, and %d changes are in doubt", errno, p, failed, n)
	}
	if b.answered != len(b.steps)-b.codes[protocol.CodeUnknown] {
		t.Errorf("%s at %v: %d of %d changes were acknowledged, %v", errno, p, b.answered, len(b.steps), b.codes)
	}
	total["applied"] += b.answered
	if err := look(guarded(t), db, b); err != nil {
		t.Errorf("%s at %v: %v", errno, p, err)
	}
	return failed
}
