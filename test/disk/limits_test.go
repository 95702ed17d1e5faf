//go:build system

package disk

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestReadOnly_Abort: the file system becomes read-only under load, as Linux does after an error of the device. It stays so
// until it is mounted again; what was acknowledged is there then. In the moment of the error itself, an fsync on ext4 may
// succeed whose transaction the kernel has just dropped (jbd2_complete_transaction): nobody can know, so what is
// acknowledged in that moment does not count.
func TestReadOnly_Abort(t *testing.T) {
	v := loop(t, 64)
	db := v.file("agents.db")
	d := harness.Start(t, db)
	s := service{d.Client(t, resp.ClientOptions{Connections: 8}).Methods,
		func() store.State { return store.State(d.Info(t)["health"]) }, func() { d.Stop(t) }}
	l := start(t, s, 16, 1<<10)
	l.acknowledged(t, 100)
	l.liar.Store(true)
	v.remount(t, "abort")
	l.refused(t, 1)
	l.liar.Store(false)
	l.refused(t, 100)
	t.Logf("%d were acknowledged in the moment of the error", l.lies.Load())
	if h := d.Info(t); h["health"] != "degraded" || h["health_reason"] == "" {
		t.Errorf("health %q: %q", h["health"], h["health_reason"])
	}
	l.stop()
	l.unsettled = true
	l.verify(t, s.Methods) // what is read is what was acknowledged, and no more
	l.unsettled = false
	d.Kill()
	v.again(t)
	d = harness.Start(t, db)
	l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
	d.Stop(t)
	harness.MustCheck(t, db)
}

// TestReadOnly_Immutable: the files cannot be written for a while.
func TestReadOnly_Immutable(t *testing.T) {
	v := loop(t, 64)
	db := v.file("agents.db")
	d := harness.Start(t, db)
	s := service{d.Client(t, resp.ClientOptions{Connections: 8}).Methods,
		func() store.State { return store.State(d.Info(t)["health"]) }, func() { d.Stop(t) }}
	l := start(t, s, 16, 1<<10)
	l.acknowledged(t, 100)
	must(t, "chattr", "+i", db, db+"-wal")
	l.refused(t, 100)
	must(t, "chattr", "-i", db, db+"-wal")
	l.acknowledged(t, 100)
	l.stop()
	l.verify(t, s.Methods)
	s.stop()
	harness.MustCheck(t, db)
}

// TestReadOnly_Start: what a daemon, and a command that reads, say on a read-only file system.
func TestReadOnly_Start(t *testing.T) {
	v := mount(t, "4m")
	db := v.file("agents.db")
	if r := harness.Run(t, harness.Command{Args: []string{"save", "a", "--db", db}, Stdin: strings.NewReader("1")}); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	v.remount(t, "ro")
	r := harness.CLI(t, "serve", "--db", db, "--redis", "127.0.0.1:0")
	if r.Code != 1 || !strings.Contains(r.Stderr, v.dir) || !strings.Contains(r.Stderr, "mounted read-only") {
		t.Errorf("serve: exit code %d: %s", r.Code, r.Stderr)
	}
	r = harness.CLI(t, "load", "a", "--db", db)
	if r.Code != 1 || !strings.Contains(r.Stderr, "mounted read-only") {
		t.Errorf("load: exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	v.remount(t, "rw")
	harness.MustCheck(t, db)
}

// TestDescriptors: with no descriptor left the daemon serves those who are connected, and new clients when others leave.
func TestDescriptors(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	s := service{d.Client(t, resp.ClientOptions{}).Methods,
		func() store.State { return store.State(d.Info(t)["health"]) }, func() { d.Stop(t) }}
	l := start(t, s, 4, 1<<10)
	l.acknowledged(t, 10)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	must(t, "prlimit", "--pid", strconv.Itoa(d.Pid()), "--nofile="+strconv.Itoa(len(open)+8)+":4096")
	var clients []net.Conn
	for range 64 {
		clients = append(clients, d.Connect(t))
	}
	d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "cannot accept a connection") })
	l.acknowledged(t, 500)
	for _, c := range clients {
		_ = c.Close()
	}
	if got := d.Info(t)["health"]; got != "ok" {
		t.Errorf("health %s", got)
	}
	l.acknowledged(t, 100)
	l.stop()
	l.verify(t, s.Methods)
	s.stop()
}

// TestMemory: without memory the daemon refuses, or dies; nothing that it acknowledged is lost.
func TestMemory(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	m := d.Client(t, resp.ClientOptions{Connections: 8}).Methods
	l := &traffic{s: service{Methods: m}, bytes: 1 << 20, told: map[string]protocol.Code{}}
	l.save(t, "before")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmSize: %d kB", &size); err == nil {
			break
		}
	}
	must(t, "prlimit", "--pid", strconv.Itoa(d.Pid()), "--as="+strconv.Itoa((size+64<<10)<<10))
	for i := range 16 {
		l.all.Go(func() {
			for n := range 16 {
				select {
				case <-d.Gone():
					return
				default:
					l.save(t, fmt.Sprintf("large-%d-%d", i, n))
				}
			}
		})
	}
	l.all.Wait()
	select {
	case <-d.Gone():
		t.Logf("it died of it")
	default:
		t.Logf("it lives")
		d.Kill()
	}
	d = harness.Start(t, db)
	l.reads.Store(1)
	l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
	d.Stop(t)
}
