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
	Addr string // host:port, or unix:/path; empty when the Redis protocol is off
	HTTP string // likewise
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

// Start runs a daemon on the file, on free ports of the loopback unless args say otherwise, and waits until it is
// ready.
func Start(tb testing.TB, db string, args ...string) *Daemon {
	tb.Helper()
	return StartWith(tb, Command{Args: args}, db)
}

// StartWith is Start for a command that has an environment or a folder too.
func StartWith(tb testing.TB, c Command, db string) *Daemon {
	tb.Helper()
	c.Args = append([]string{"--redis", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "debug"}, c.Args...)
	return StartBare(tb, c, db)
}

// StartBare is StartWith without any settings of its own. The log has to be JSON and tell at least infos.
func StartBare(tb testing.TB, c Command, db string) *Daemon {
	tb.Helper()
	c.Args = append([]string{"serve", "--db", db}, c.Args...)
	d := &Daemon{Process: Spawn(tb, c), DB: db}
	ready := d.Log(tb, func(e Entry) bool { return e.Message() == "ready" })
	d.Addr, d.HTTP = firstAddress(ready["redis"]), firstAddress(ready["http"])
	if d.Addr+d.HTTP == "" {
		tb.Fatalf("the daemon is ready, but tells no address: %v", ready)
	}
	return d
}

// firstAddress gives the first of the addresses in a log entry, as --addr takes it.
func firstAddress(logged any) string {
	addresses, _ := logged.([]any)
	if len(addresses) == 0 {
		return ""
	}
	addr, _ := addresses[0].(string)
	if filepath.IsAbs(addr) {
		return "unix:" + addr
	}
	return addr
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
