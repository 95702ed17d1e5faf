package main

import (
	"context"
	"strings"

	"github.com/rs/zerolog"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/store"
)

// watch is how others see the daemon: metrics, slow requests, health, the service manager.
type watch struct {
	metrics *metrics
	slow    *slowLog
	vitals  *vitals
	manager *notifier
}

func newWatch(c config.Config, log zerolog.Logger) watch {
	return watch{
		metrics: newMetrics(readAbout()), slow: newSlowLog(c.Log.SlowRequest, log), manager: newNotifier(log),
		vitals: &vitals{longest: longestBatch(c.Timeouts.Request)},
	}
}

// over begins to watch a writer and its store.
func (w watch) over(a *actor.Actor, s *store.Store) {
	w.vitals.actor, w.vitals.done, w.vitals.store = a, a.Done(), s
}

// answer starts to answer the watchdog of the service manager, until stop.
func (w watch) answer() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.manager.watchdog(ctx, w.manager.watchdogEvery(), w.vitals.alive)
	}()
	return func() {
		cancel()
		<-done
	}
}

// checks are those of /readyz.
func (d *daemon) checks() (all []httpapi.Check) {
	for _, c := range d.watch.vitals.ready() {
		all = append(all, httpapi.Check(c))
	}
	return all
}

// connections are the ways to count the clients of each front end.
func (d *daemon) connections() map[string]func() int {
	all := map[string]func() int{}
	for name, f := range d.fronts {
		all[name] = f.Connections
	}
	return all
}

// status is what the service manager shows to people.
func (d *daemon) status() string {
	var at []string
	for _, l := range d.listeners {
		at = append(at, l.front+" "+l.Addr().String())
	}
	return "keeping " + d.store.Info().Path + " for " + strings.Join(at, ", ")
}
