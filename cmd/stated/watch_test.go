package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/config"
)

// TestDaemon_Watched: what others see of a daemon, from its start over a reload to its end.
func TestDaemon_Watched(t *testing.T) {
	folder := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(folder, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(folder, "notify"))
	t.Setenv("WATCHDOG_USEC", "3600000000")
	load := func() (*config.Loaded, error) {
		return config.Load(config.Source{Set: []config.Setting{
			{Key: "store.path", Value: filepath.Join(folder, "a.db")}, {Key: "store.durability", Value: "off"},
			{Key: "server.redis", Value: ""}, {Key: "server.http", Value: "127.0.0.1:0"},
		}})
	}
	loaded, err := load()
	if err != nil {
		t.Fatal(err)
	}
	loaded.Log.SlowRequest = time.Nanosecond // all of them
	var log logBuffer
	d, err := newDaemon(t.Context(), loaded, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx, load) }()
	told := func() string {
		for {
			if got := receive(t, manager); got != "WATCHDOG=1" {
				return got
			}
		}
	}
	status := "READY=1\nSTATUS=keeping " + d.store.Info().Path + " for http " + d.listeners[0].Addr().String()
	if got := told(); got != status {
		t.Errorf("at the start: %q, want %q", got, status)
	}

	url := "http://" + d.listeners[0].Addr().String()
	client := &http.Client{Timeout: 30 * time.Second}
	do := func(method, path, body string, code int) string {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != code {
			t.Errorf("%s %s: %d, %v: %s", method, path, response.StatusCode, err, text)
		}
		return string(text)
	}
	do("PUT", "/v1/agents/alice", `{"turn":1}`, http.StatusCreated)
	do("PUT", "/v1/agents/alice", `{`, http.StatusBadRequest)
	do("GET", "/v1/agents/bob", "", http.StatusNotFound)
	do("GET", "/livez", "", http.StatusOK)
	if got, want := do("GET", "/readyz?verbose", "", http.StatusOK), "[+] writer: ok\n[+] store: ok\n[+] mailbox: ok\n"; !strings.Contains(got, want) {
		t.Errorf("readyz: %s, want %s", got, want)
	}
	metrics := do("GET", "/metrics", "", http.StatusOK)
	for _, line := range []string{
		`requests_total{code="OK",op="save"} 1`, `requests_total{code="NOT_FOUND",op="load"} 1`,
		`refused_total{code="INVALID",front="http"} 1`, "batch_requests_count 1", "commit_seconds_count 1", "lock_wait_seconds_count 1",
		`connections{front="http"} 1`, `store_state{state="ok"} 1`,
	} {
		if !strings.Contains(metrics, "\nstated_"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	if got := log.take(); !strings.Contains(got, `"op":"save","code":"OK"`) || strings.Contains(got, "turn") {
		t.Errorf("slow requests: %s", got)
	}

	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if got := told(); !strings.HasPrefix(got, "RELOADING=1\n") {
		t.Errorf("at a reload: %q", got)
	}
	if got := told(); got != status {
		t.Errorf("after a reload: %q", got)
	}
	client.CloseIdleConnections()
	stop()
	if got := told(); got != "STOPPING=1\nSTATUS=finishing what was begun" {
		t.Errorf("at the end: %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
