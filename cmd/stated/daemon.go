package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
)

// daemon is a running server: the store, its writer and the listeners, stopped in the reverse order.
type daemon struct {
	config    config.Config
	log       zerolog.Logger
	store     *store.Store
	actor     *actor.Actor
	server    *resp.Server
	listeners []net.Listener
	wg        sync.WaitGroup
}

// newDaemon opens the store and binds the listeners. Whatever fails, nothing stays open.
func newDaemon(ctx context.Context, c config.Config, log zerolog.Logger) (_ *daemon, err error) {
	if len(c.Server.Redis) == 0 {
		return nil, usagef("there is nothing to listen on: server.redis is empty")
	}
	d := &daemon{config: c, log: log}
	options := storeOptions(c)
	options.Logger = log
	if d.store, err = store.Open(ctx, c.Store.Path, options); err != nil {
		return nil, err
	}
	actorOptions := actorOptions(c)
	actorOptions.Logger = log
	d.actor = actor.New(d.store, actorOptions)
	d.server = resp.New(d.actor, resp.Options{
		RequestBytes: int(c.Limits.RequestBytes), InflightBytes: int(c.Limits.InflightBytes),
		OutputBytes: int(c.Limits.OutputBytes), StateBytes: c.Limits.StateBytes, Connections: c.Limits.Connections,
		RequestTimeout: c.Timeouts.Request, Version: readAbout().Version, Info: d.info, Logger: log,
	})
	for _, addr := range c.Server.Redis {
		l, err := listen(ctx, addr)
		if err != nil {
			return nil, errors.Join(err, d.stop(ctx))
		}
		d.listeners = append(d.listeners, l)
	}
	return d, nil
}

// start serves the listeners. The channel gives the first failure of a listener or of the writer.
func (d *daemon) start() <-chan error {
	failed := make(chan error, len(d.listeners)+1)
	for _, l := range d.listeners {
		d.wg.Go(func() {
			if err := d.server.Serve(l); err != nil {
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
	// Shortly before the time is up, those who still wait are told so, instead of being cut off without an answer.
	early, cancel := almost(ctx)
	defer cancel()
	told := make(chan error, 1)
	inTime := context.AfterFunc(early, func() { told <- d.actor.Close(early) })
	err := d.server.Shutdown(ctx)
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
	return errors.Join(err, d.store.Close())
}

// almost gives a context that ends when nine tenths of the time of ctx have passed.
func almost(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*9/10)
}

func (d *daemon) addresses() []string {
	var list []string
	for _, l := range d.listeners {
		list = append(list, l.Addr().String())
	}
	return list
}

// socketMode lets the owner and the group connect.
const socketMode = 0o660

// listen binds host:port, or unix:/path. A socket that a daemon left behind when it was killed is replaced; one that
// still answers, or anything that is no socket, is not.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	var config net.ListenConfig
	if !isUnix {
		l, err := config.Listen(ctx, "tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("cannot listen on %s: %w (is another daemon running? name another address with --redis)", addr, cause(err))
		}
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", addr, cause(err))
		}
		return l, nil
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, cause(err))
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return usagef("%s exists and is not a socket", path)
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%s is in use by another process", path), c.Close())
	}
	return os.Remove(path)
}

// cause gives what the system said, without what the message says already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func splitAddr(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, ""
	}
	return host, port
}

// pinnedBy names the processes that keep the write-ahead log from ending.
func pinnedBy(pin *store.Pin) string {
	switch {
	case pin == nil:
		return ""
	case len(pin.Pids) == 0:
		return "unknown"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(pin.Pids), " ", ","), "[]")
}

// info is what INFO shows of the writer and the store.
func (d *daemon) info() []resp.Section {
	s, a, v := d.store.Info(), d.actor.Info(), readAbout()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []resp.Section{{Name: "stated", Fields: []resp.Field{
		{Key: "commit", Value: v.Commit},
		{Key: "sqlite_version", Value: s.SQLiteVersion},
		{Key: "schema_version", Value: strconv.Itoa(s.SchemaVersion)},
		{Key: "path", Value: s.Path},
		{Key: "store_id", Value: s.StoreID},
		{Key: "durability", Value: string(s.Durability)},
		{Key: "ofd_locks", Value: strconv.FormatBool(s.OFDLocks)},
		{Key: "health", Value: string(s.Health.State)},
		{Key: "health_reason", Value: s.Health.Reason},
		{Key: "db_bytes", Value: number(s.DBBytes)},
		{Key: "wal_bytes", Value: number(s.WALBytes)},
		{Key: "wal_pinned_by", Value: pinnedBy(s.WALPin)},
		{Key: "checkpoints", Value: number(s.Checkpoints)},
		{Key: "checkpoints_between_batches", Value: number(s.WALEnded)},
		{Key: "checkpoint_longest_pause_ms", Value: number(s.LongestEnd.Milliseconds())},
		{Key: "checkpoints_failed", Value: number(s.CheckpointErr)},
		{Key: "goroutines", Value: strconv.Itoa(runtime.NumGoroutine())},
		{Key: "mailbox_depth", Value: strconv.Itoa(a.Waiting)},
		{Key: "batches", Value: number(a.Batches)},
		{Key: "batch_requests", Value: number(a.Requests)},
		{Key: "batch_largest", Value: number(a.LargestBatch)},
		{Key: "lock_retries", Value: number(s.LockRetries)},
		{Key: "lock_gave_up", Value: number(s.LockGaveUp)},
		{Key: "outside_writes", Value: number(s.OutsideWrites)},
		{Key: "in_doubt", Value: number(s.InDoubt)},
	}}}
}
