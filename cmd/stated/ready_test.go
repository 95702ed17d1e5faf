package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// fakeWriter and fakeStore tell what they are made of.
type (
	fakeWriter actor.Info
	fakeStore  struct{ info store.Info }
)

func (f fakeWriter) Info() actor.Info    { return actor.Info(f) }
func (f fakeStore) Info() store.Info     { return f.info }
func (f fakeStore) Health() store.Health { return f.info.Health }

func TestVitals(t *testing.T) {
	gone := make(chan struct{})
	close(gone)
	since := time.Date(2026, 11, 24, 10, 0, 0, 0, time.FixedZone("", 3600))
	bad := func(state store.State, code protocol.Code, reason string) fakeStore {
		return fakeStore{store.Info{Health: store.Health{State: state, Code: code, Reason: reason, Since: since}}}
	}
	hangs := "the writer has had one batch in hand for 1m0.001s, longer than 1m0s: it hangs, or the disk does"
	for _, test := range []struct {
		name     string
		done     chan struct{}
		writer   fakeWriter
		store    fakeStore
		stopping bool
		alive    string
		ready    map[string]string // what does not hold
	}{
		{name: "well", writer: fakeWriter{Working: time.Minute, Waiting: 4096, WaitingBytes: 256 << 20}},
		{name: "gone", done: gone, alive: "the writer is gone", ready: map[string]string{"writer": "the writer is gone"}},
		{name: "hangs", writer: fakeWriter{Working: time.Minute + time.Millisecond}, alive: hangs, ready: map[string]string{"writer": hangs}},
		{name: "stopped", stopping: true, done: gone},
		{name: "hangs while stopping", stopping: true, writer: fakeWriter{Working: time.Minute + time.Millisecond},
			alive: hangs, ready: map[string]string{"writer": hangs}},
		{name: "disk full", store: bad(store.StateDegraded, protocol.CodeFull, "no space"), ready: map[string]string{
			"store": "degraded: FULL: no space; changes are refused since 2026-11-24T09:00:00Z"}},
		{name: "damaged", store: bad(store.StateFailed, protocol.CodeCorrupt, "page 7"), ready: map[string]string{
			"store": "failed: CORRUPT: page 7; changes are refused since 2026-11-24T09:00:00Z"}},
		{name: "mailbox full", writer: fakeWriter{Blocked: 2, Waiting: 7, WaitingBytes: 900}, ready: map[string]string{
			"mailbox": "the mailbox is full: 2 callers wait for room behind 7 requests; there are 900 bytes in it and in the writer's hands" +
				" (actor.mailbox, actor.mailbox_bytes)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.store.info.Health.State == "" {
				test.store.info.Health.State = store.StateOK
			}
			v := &vitals{actor: test.writer, store: test.store, done: test.done, longest: longestBatch(30 * time.Second)}
			v.stopping.Store(test.stopping)
			if got := textOf(v.alive()); got != test.alive {
				t.Errorf("alive: %q, want %q", got, test.alive)
			}
			want := []string{}
			for _, name := range []string{"writer", "store", "mailbox"} {
				want = append(want, name+": "+test.ready[name])
			}
			got := []string{}
			for _, c := range v.ready() {
				got = append(got, c.Name+": "+textOf(c.Err))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
