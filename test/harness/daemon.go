package harness

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stated/stated/protocol/resp"
)

// Daemon is a running `stated serve`.
type Daemon struct {
	*Process
	DB   string
	Addr string // host:port, or unix:/path
}

// File gives the path of a database in a folder of its own, which is not there yet. When the test has passed, and
// the file is there, it has to be sound.
func File(tb testing.TB) string {
	tb.Helper()
	db := filepath.Join(tb.TempDir(), "agents.db")
	tb.Cleanup(func() {
		if _, err := os.Stat(db); err == nil && !tb.Failed() {
			MustCheck(tb, db)
		}
	})
	return db
}

// Start runs a daemon on the file, on a free port of the loopback unless args say otherwise, and waits until it is
// ready.
func Start(tb testing.TB, db string, args ...string) *Daemon {
	tb.Helper()
	return StartWith(tb, Command{Args: args}, db)
}

// StartWith is Start for a command that has an environment or a folder too.
func StartWith(tb testing.TB, c Command, db string) *Daemon {
	tb.Helper()
	c.Args = append([]string{"serve", "--db", db, "--redis", "127.0.0.1:0", "--log-level", "debug"}, c.Args...)
	d := &Daemon{Process: Spawn(tb, c), DB: db}
	ready := d.Log(tb, func(e Entry) bool { return e.Message() == "ready" })
	addresses, _ := ready["redis"].([]any)
	if len(addresses) == 0 {
		tb.Fatalf("the daemon is ready, but tells no address: %v", ready)
	}
	d.Addr, _ = addresses[0].(string)
	if filepath.IsAbs(d.Addr) {
		d.Addr = "unix:" + d.Addr
	}
	return d
}

// Stop ends the daemon as an init system does, and expects it to succeed.
func (d *Daemon) Stop(tb testing.TB) {
	tb.Helper()
	d.Signal(tb, syscall.SIGTERM)
	if code := d.Wait(tb); code != 0 {
		tb.Fatalf("the daemon ended with exit code %d:\n%s", code, d.Output())
	}
}

// Client connects to the daemon. The connection is closed at the end of the test.
func (d *Daemon) Client(tb testing.TB, o resp.ClientOptions) *resp.Client {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	c, err := resp.Dial(ctx, d.Addr, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() }) // it always returns nil
	return c
}

// MustCheck has stated look the file over, every row with its checksum, and expects it to be sound.
func MustCheck(tb testing.TB, db string) {
	tb.Helper()
	if r := CLI(tb, "check", "--deep", "--db", db); r.Code != 0 {
		tb.Errorf("check --deep: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}
