package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// TestNotifier: what the service manager receives, over a socket with a path and an abstract one.
func TestNotifier(t *testing.T) {
	clock := `\nMONOTONIC_USEC=[1-9][0-9]*`
	if runtime.GOOS != "linux" { // there is no systemd that would ask for it
		clock = `\n`
	}
	for name, address := range map[string]string{
		"path": filepath.Join(t.TempDir(), "notify"), "abstract": "@stated-test-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
			if err != nil {
				t.Skip(err) // abstract sockets are Linux's
			}
			defer manager.Close()
			t.Setenv("NOTIFY_SOCKET", address)
			n := newNotifier(zerolog.Nop())
			n.ready("serving a.db\nREADY=0")
			n.reloading()
			n.stopping("finishing")
			for _, want := range []string{
				`^READY=1\nSTATUS=serving a\.db READY=0$`,
				`^RELOADING=1` + clock + `$`,
				`^STOPPING=1\nSTATUS=finishing$`,
			} {
				if got := receive(t, manager); !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("got %q, want %s", got, want)
				}
			}
		})
	}
}

func receive(t *testing.T, manager *net.UnixConn) string {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var b [1024]byte
	n, err := manager.Read(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestNotifier_Alone: without a service manager nothing is done; one that cannot be reached is told of once.
func TestNotifier_Alone(t *testing.T) {
	for address, lines := range map[string]int{"": 0, filepath.Join(t.TempDir(), "missing"): 1} {
		t.Setenv("NOTIFY_SOCKET", address)
		var log bytes.Buffer
		n := newNotifier(zerolog.New(&log))
		n.ready("a")
		n.stopping("b")
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%q: %d lines: %s", address, got, &log)
		}
	}
}

func TestNotifier_WatchdogEvery(t *testing.T) {
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
		lines     int
	}{
		{"", "", 0, 0},
		{"30000000", "", 15 * time.Second, 0},
		{"30000000", strconv.Itoa(os.Getpid()), 15 * time.Second, 0},
		{"30000000", "1", 0, 0}, // another process is meant
		{"soon", "", 0, 1},
		{"-1", "", 0, 1},
	} {
		t.Setenv("WATCHDOG_USEC", test.usec)
		t.Setenv("WATCHDOG_PID", test.pid)
		var log bytes.Buffer
		got := newNotifier(zerolog.New(&log)).watchdogEvery()
		if got != test.want || strings.Count(log.String(), "\n") != test.lines {
			t.Errorf("%+v: %v, %s", test, got, &log)
		}
	}
}

// TestNotifier_Watchdog: it is answered as long as the daemon is alive, and again when it is so again.
func TestNotifier_Watchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var sent []time.Duration
		begun := time.Now()
		n := &notifier{log: zerolog.New(&log), send: func(message string) error {
			if message != "WATCHDOG=1" {
				t.Errorf("sent %q", message)
			}
			sent = append(sent, time.Since(begun))
			return nil
		}}
		var dead atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			n.watchdog(ctx, time.Second, func() error {
				if dead.Load() {
					return errors.New("it hangs")
				}
				return nil
			})
		}()
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		pass(1500 * time.Millisecond)
		dead.Store(true)
		pass(3 * time.Second)
		dead.Store(false)
		pass(time.Second)
		cancel()
		<-done
		if diff := cmp.Diff([]time.Duration{0, time.Second, 5 * time.Second}, sent); diff != "" {
			t.Error(diff)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "it hangs") {
			t.Errorf("log: %s", got)
		}
	})
}

// TestNotifier_NoWatchdog returns at once.
func TestNotifier_NoWatchdog(t *testing.T) {
	n := &notifier{send: func(string) error { panic("sent") }}
	n.watchdog(t.Context(), 0, func() error { panic("asked") })
}
