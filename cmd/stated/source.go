package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/store"
)

// source shows what the writer, the store and the front ends count themselves. It asks them once for each scrape.
type source struct {
	actor interface{ Info() actor.Info }
	store interface{ Info() store.Info }
	open  map[string]func() int // connections, by front end

	numbers     []number
	state       *prometheus.Desc
	connections *prometheus.Desc
}

// number is one number of the writer or of the store.
type number struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(actor.Info, store.Info) int64
}

// show adds the numbers of a writer, a store and the front ends. It may be called once.
func (m *metrics) show(a interface{ Info() actor.Info }, s interface{ Info() store.Info }, open map[string]func() int) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	gauge := func(name, help string, value func(actor.Info, store.Info) int64) number {
		return number{desc(name, help), prometheus.GaugeValue, value}
	}
	counter := func(name, help string, value func(actor.Info, store.Info) int64) number {
		return number{desc(name, help), prometheus.CounterValue, value}
	}
	m.registry.MustRegister(&source{actor: a, store: s, open: open, numbers: []number{
		gauge("stated_mailbox_depth", "Requests that wait for the writer.",
			func(a actor.Info, _ store.Info) int64 { return int64(a.Waiting) }),
		gauge("stated_mailbox_bytes", "Bytes of the requests that wait for the writer or that it has in hand.",
			func(a actor.Info, _ store.Info) int64 { return a.WaitingBytes }),
		counter("stated_lock_retries_total", "Times that a lock of another process was tried again.",
			func(_ actor.Info, s store.Info) int64 { return s.LockRetries }),
		counter("stated_lock_gave_up_total", "Times that the retries were used up by a lock of another process.",
			func(_ actor.Info, s store.Info) int64 { return s.LockGaveUp }),
		counter("stated_outside_writes_total", "Transactions that found changes by other processes.",
			func(_ actor.Info, s store.Info) int64 { return s.OutsideWrites }),
		counter("stated_in_doubt_total", "Transactions that may or may not have been applied, since the disk failed or the file was moved.",
			func(_ actor.Info, s store.Info) int64 { return s.InDoubt }),
		counter("stated_unlisted_rows_total", "Rows of other programs that lists and scans met and left out, since their ids are not valid.",
			func(_ actor.Info, s store.Info) int64 { return s.Unlisted }),
		gauge("stated_db_bytes", "Size of the database file.",
			func(_ actor.Info, s store.Info) int64 { return s.DBBytes }),
		gauge("stated_wal_bytes", "Size of the write-ahead log.",
			func(_ actor.Info, s store.Info) int64 { return s.WALBytes }),
	},
		state:       desc("stated_store_state", "1 for the state that the store is in, 0 for the others; it takes changes when it is ok.", "state"),
		connections: desc("stated_connections", "Clients that are connected, by front end.", "front"),
	})
}

// Describe implements prometheus.Collector.
func (s *source) Describe(to chan<- *prometheus.Desc) {
	for _, f := range s.numbers {
		to <- f.desc
	}
	to <- s.state
	to <- s.connections
}

// Collect implements prometheus.Collector.
func (s *source) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, label string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, label)
	}
	ofActor, ofStore := s.actor.Info(), s.store.Info()
	for _, f := range s.numbers {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.value(ofActor, ofStore)))
	}
	for _, state := range []store.State{store.StateOK, store.StateDegraded, store.StateFailed} {
		is := 0.0
		if ofStore.Health.State == state {
			is = 1
		}
		gauge(s.state, is, string(state))
	}
	for front, count := range s.open {
		gauge(s.connections, float64(count()), front)
	}
}
