package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/limit"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
)

// daemon is a running server: the store, its writer, the front ends and their listeners, stopped in the reverse order.
type daemon struct {
	loaded    *config.Loaded // as at the start, but for what a reload has changed since
	log       zerolog.Logger
	tokens    *auth.Keyring
	cert      *certificate // nil without TLS
	store     *store.Store
	actor     *actor.Actor
	watch     watch
	fronts    map[string]front
	listeners []listener
	wg        sync.WaitGroup
}

// front is a front end: a protocol on the wire.
type front interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Connections() int
}

// newDaemon opens the store and binds the listeners. Whatever fails, nothing stays open.
func newDaemon(ctx context.Context, loaded *config.Loaded, log zerolog.Logger) (_ *daemon, err error) {
	c := loaded.Config
	if len(c.Server.Redis)+len(c.Server.HTTP) == 0 {
		return nil, usagef("there is nothing to listen on: server.redis and server.http are empty")
	}
	d := &daemon{loaded: loaded, log: log, watch: newWatch(c, log)}
	if d.tokens, err = newKeyring(c.Auth); err != nil {
		return nil, err
	}
	if d.cert, err = newCertificate(c.Server.TLS); err != nil {
		return nil, err
	}
	options := storeOptions(c)
	options.Logger, options.OnCheckpoint = log, d.watch.metrics.checkpoint
	if d.store, err = store.Open(ctx, c.Store.Path, options); err != nil {
		return nil, err
	}
	actorOptions := actorOptions(c)
	actorOptions.Logger = log
	actorOptions.OnCommit, actorOptions.OnLockWait = d.watch.metrics.commit, d.watch.metrics.lockWait
	d.actor = actor.New(d.store, actorOptions)
	d.watch.over(d.actor, d.store)
	d.fronts = d.newFronts(c)
	d.watch.metrics.show(d.actor, d.store, d.connections())
	if err := d.listen(ctx, c.Server); err != nil {
		return nil, errors.Join(err, d.stop(ctx))
	}
	return d, nil
}

func (d *daemon) newFronts(c config.Config) map[string]front {
	inflight := limit.NewBytes(int(c.Limits.InflightBytes), c.Timeouts.Request)
	connections := limit.NewConnections(c.Limits.Connections)
	h := observed{d.actor, d.watch.metrics, d.watch.slow}
	return map[string]front{
		frontRedis: resp.New(h, resp.Options{
			RequestBytes: int(c.Limits.RequestBytes), OutputBytes: int(c.Limits.OutputBytes), StateBytes: c.Limits.StateBytes,
			Inflight: inflight, Connections: connections, Tokens: d.tokens,
			RequestTimeout: c.Timeouts.Request, Version: readAbout().Version, Info: d.sections,
			Refused: d.watch.metrics.refused(frontRedis), Logger: d.log,
		}),
		frontHTTP: httpapi.New(h, httpapi.Options{
			RequestBytes: int(c.Limits.RequestBytes), StateBytes: c.Limits.StateBytes,
			Inflight: inflight, Connections: connections, Tokens: d.tokens, Hosts: c.Server.HTTPHosts,
			RequestTimeout: c.Timeouts.Request, Version: readAbout().Version, Info: d.members, Logger: d.log,
			Alive: d.watch.vitals.alive, Ready: d.checks, Metrics: d.watch.metrics.handler(d.log),
			Refused: d.watch.metrics.refused(frontHTTP),
		}),
	}
}

func (d *daemon) listen(ctx context.Context, c config.Server) error {
	redis, err := listen(ctx, frontRedis, c.Redis, d.cert)
	d.listeners = append(d.listeners, redis...)
	if err != nil {
		return err
	}
	http, err := listen(ctx, frontHTTP, c.HTTP, d.cert)
	d.listeners = append(d.listeners, http...)
	if err != nil {
		return err
	}
	for _, l := range d.listeners {
		if l.exposed() && !l.tls {
			d.log.Warn().Str("address", l.Addr().String()).
				Msg("tokens and states can be read on their way: set server.tls, or let only a proxy that speaks TLS connect")
		}
	}
	return nil
}

// start serves the listeners. The channel gives the first failure of a listener or of the writer.
func (d *daemon) start() <-chan error {
	failed := make(chan error, len(d.listeners)+1)
	for _, l := range d.listeners {
		d.wg.Go(func() {
			if err := d.fronts[l.front].Serve(l); err != nil {
				failed <- fmt.Errorf("listener %s: %w", l.Addr(), err)
			}
		})
	}
	d.wg.Go(func() {
		<-d.actor.Done()
		failed <- errors.New("the writer has stopped")
	})
	return failed
}

// stop ends the clients, then the writer, then the store, so that each still has what it needs. It ends with ctx.
func (d *daemon) stop(ctx context.Context) error {
	d.watch.vitals.stopping.Store(true)
	// Shortly before the time is up, those who still wait are told so, instead of being cut off without an answer.
	early, cancel := almost(ctx)
	defer cancel()
	told := make(chan error, 1)
	inTime := context.AfterFunc(early, func() { told <- d.actor.Close(early) })
	err := d.stopFronts(ctx)
	if !inTime() {
		err = errors.Join(err, <-told)
	}
	for _, l := range d.listeners {
		// Shutdown has closed those that were served.
		if e := l.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	err = errors.Join(err, d.actor.Close(ctx))
	d.wg.Wait()
	d.watch.slow.close()
	return errors.Join(err, d.store.Close())
}

// stopFronts ends all clients at once, whichever way they came.
func (d *daemon) stopFronts(ctx context.Context) error {
	errs := make(chan error, len(d.fronts))
	for _, f := range d.fronts {
		go func() { errs <- f.Shutdown(ctx) }()
	}
	var err error
	for range d.fronts {
		err = errors.Join(err, <-errs)
	}
	return err
}

// almost gives a context that ends when nine tenths of the time of ctx have passed.
func almost(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*9/10)
}

// addresses are those of a front end.
func (d *daemon) addresses(front string) []string {
	var list []string
	for _, l := range d.listeners {
		if l.front == front {
			list = append(list, l.Addr().String())
		}
	}
	return list
}
