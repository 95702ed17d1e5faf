package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestTerm_UnderLoad ends the daemon politely under load: whatever it acknowledged is there, and it succeeds.
func TestTerm_UnderLoad(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	l := newLedger(harness.Random(t))
	loadUntilEnded(t, d, l, 500, 0, func() { d.Stop(t) })
	d.Log(t, func(e harness.Entry) bool { return e.Message() == "stopped" })
	l.verify(t, harness.Start(t, db).Client(t, resp.ClientOptions{}).Methods)
	t.Log(l)
}

// blocked is a daemon with saves under way that cannot end, since another process holds the lock.
func blocked(t *testing.T, args ...string) (d *harness.Daemon, holder *harness.Process, conns []*rawConn) {
	t.Helper()
	db := harness.File(t)
	d = harness.Start(t, db, args...)
	holder = outside(t, "hold", db)
	holder.Line(t, "held")
	for i := range 16 {
		c := dialRaw(t, d.Addr)
		c.send("STATE.SAVE", agentID(i), "{}")
		conns = append(conns, c)
	}
	eventually(t, "all but one wait in the mailbox", func() bool {
		return infoOf(t, d.Addr).number(t, "mailbox_depth") == int64(len(conns)-1)
	})
	return d, holder, conns
}

// TestTerm_InFlight shows that what was begun is finished and answered.
func TestTerm_InFlight(t *testing.T) {
	d, holder, conns := blocked(t)
	d.Signal(t, syscall.SIGTERM)
	d.Log(t, func(e harness.Entry) bool { return e.Is("info", "stopping") })
	holder.CloseInput()
	for i, c := range conns {
		if list, ok := c.must().([]any); !ok || len(list) != 2 {
			t.Errorf("save %d was not answered: %v", i, list)
		}
	}
	if code := d.Wait(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, d.Output())
	}
	cli{t, []string{"--db", d.DB}}.wants(fmt.Sprintln(len(conns)), "", "count")
}

// TestTerm_Budget shows that stopping takes no longer than it may, and that those who still wait are told so.
func TestTerm_Budget(t *testing.T) {
	d, _, conns := blocked(t, "--set", "timeouts.shutdown=0.5")
	begun := time.Now()
	d.Signal(t, syscall.SIGTERM)
	for i, c := range conns {
		reply, err := c.read()
		if refused, ok := reply.(replyError); !ok || !strings.HasPrefix(string(refused), "UNAVAILABLE ") {
			t.Errorf("save %d was answered %v, %v", i, reply, err)
		}
	}
	if code := d.Wait(t); code != 1 {
		t.Errorf("exit code %d:\n%s", code, d.Output())
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestTerm_Twice shows that the second signal ends the daemon at once.
func TestTerm_Twice(t *testing.T) {
	d, _, _ := blocked(t)
	d.Signal(t, syscall.SIGTERM)
	d.Log(t, func(e harness.Entry) bool { return e.Is("info", "stopping") })
	begun := time.Now()
	// The first signal's handler is given back a moment after the line was written.
	eventually(t, "the second signal ends it", func() bool {
		d.Signal(t, syscall.SIGTERM)
		select {
		case <-d.Gone():
			return true
		default:
			return false
		}
	})
	if code := d.Wait(t); code == 0 || time.Since(begun) > 5*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(begun))
	}
}

// TestUnixSocket listens on a socket of the file system, which only the owner and the group may use.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "stated.sock")
	db := harness.File(t)
	d := harness.Start(t, db, "--redis", "unix:"+path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 || info.Mode().Type() != os.ModeSocket {
		t.Fatalf("the socket has mode %v, %v", info.Mode(), err)
	}
	cli{t, []string{"--addr", "unix:" + path}}.wants("revision 1\n", "{}", "save", "a")
	wantReply(t, dialRaw(t, d.Addr).do("GET", "a"), "{}")

	other := harness.File(t)
	wantFailure(t, harness.CLI(t, "serve", "--db", other, "--redis", "unix:"+path), 1, path, "in use")
	d.Kill()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("kill -9 left no socket: %v", err)
	}
	d = harness.Start(t, db, "--redis", "unix:"+path)
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	if _, err := d.Client(t, resp.ClientOptions{}).SaveIf(ctx, "a", []byte("1"), protocol.IfRevision(1)); err != nil {
		t.Error(err)
	}
	d.Stop(t)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if err := os.WriteFile(path, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, harness.CLI(t, "serve", "--db", other, "--redis", "unix:"+path), 2, path, "not a socket")

	both := harness.Start(t, db, "--redis", "127.0.0.1:0,unix:"+path+"2")
	wantReply(t, dialRaw(t, both.Addr).do("GET", "a"), "1")
	wantReply(t, dialRaw(t, "unix:"+path+"2").do("GET", "a"), "1")
}
