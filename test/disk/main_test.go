//go:build system

// Package disk shows what happens when something runs out under a running program: room on the disk, the right to write,
// descriptors, memory. Reads go on, nothing acknowledged is lost, and changes resume by themselves.
//
// What may go in: tests that take a resource away from a real process and give it back. They mount, so they need root.
package disk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}

// must runs a program of the system.
func must(tb testing.TB, name string, args ...string) {
	tb.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// volume is a small file system of its own.
type volume struct{ dir, image string }

// mount makes a file system in memory.
func mount(tb testing.TB, size string) volume {
	tb.Helper()
	v := volume{dir: folder(tb)}
	must(tb, "mount", "-t", "tmpfs", "-o", "size="+size+",mode=777", "tmpfs", v.dir)
	tb.Cleanup(func() { must(tb, "umount", "--lazy", v.dir) })
	return v
}

// loop makes one of so many MiB on a device of its own, which a file stands for.
func loop(tb testing.TB, size int) volume {
	tb.Helper()
	v := volume{folder(tb), filepath.Join(tb.TempDir(), "image")}
	must(tb, "truncate", "-s", fmt.Sprintf("%dM", size), v.image)
	must(tb, "mkfs.ext4", "-q", v.image)
	must(tb, "mount", "-o", "loop,errors=remount-ro", v.image, v.dir)
	tb.Cleanup(func() { must(tb, "umount", "--lazy", v.dir) })
	return v
}

// folder makes an empty one that no cleanup empties while something is mounted there.
func folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "stated-disk-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.Remove(dir) })
	return dir
}

func (v volume) file(name string) string { return filepath.Join(v.dir, name) }

func (v volume) remount(tb testing.TB, options string) {
	tb.Helper()
	must(tb, "mount", "-o", "remount,"+options, v.dir)
}

// again unmounts a device that nobody uses any more, and mounts it.
func (v volume) again(tb testing.TB) {
	tb.Helper()
	must(tb, "umount", v.dir)
	must(tb, "mount", "-o", "loop,errors=remount-ro", v.image, v.dir)
}

// fill takes all the room that is left, and gives it back in the function.
func (v volume) fill(tb testing.TB) (free func()) {
	tb.Helper()
	filler := v.file("filler")
	f, err := os.Create(filler)
	if err != nil {
		tb.Fatal(err)
	}
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			tb.Error(err)
		}
	}
}

// fillBut is fill, but for some room.
func (v volume) fillBut(tb testing.TB, room int64) (free func()) {
	tb.Helper()
	free = v.fill(tb)
	info, err := os.Stat(v.file("filler"))
	if err == nil {
		err = os.Truncate(v.file("filler"), info.Size()-room)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return free
}

// service is a way to the agents, and what it says of its health.
type service struct {
	protocol.Methods
	health func() store.State
	stop   func()
}

// bothWays runs a test through the daemon and in-process, on a file on the volume.
func bothWays(t *testing.T, size string, test func(t *testing.T, v volume, s service)) {
	t.Helper()
	t.Run("daemon", func(t *testing.T) {
		v := mount(t, size)
		d := harness.Start(t, v.file("agents.db"), "--set", "store.wal_bytes=2MiB")
		test(t, v, service{d.Client(t, resp.ClientOptions{Connections: 8}).Methods,
			func() store.State { return store.State(d.Info(t)["health"]) },
			func() { d.Stop(t) }})
	})
	t.Run("library", func(t *testing.T) {
		v := mount(t, size)
		s, err := store.Open(harness.Guarded(t), v.file("agents.db"), harness.Settings(store.Options{WALBytes: 2 << 20}))
		if err != nil {
			t.Fatal(err)
		}
		a := actor.New(s, actor.Options{})
		stopped := false
		stop := func() {
			if stopped {
				return
			}
			stopped = true
			ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
			defer cancel()
			if err := a.Close(ctx); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		t.Cleanup(stop)
		test(t, v, service{protocol.Methods{Handler: a}, func() store.State { return s.Info().Health.State }, stop})
	})
}

// recovered waits until changes are applied again, without a change of ours to find out.
func (s service) recovered(t *testing.T) {
	t.Helper()
	begun := time.Now()
	harness.Eventually(t, "the store is ok", func() bool { return s.health() == store.StateOK })
	t.Logf("ok again after %v", time.Since(begun).Round(time.Millisecond))
}
