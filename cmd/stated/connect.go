package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
)

// target says where a command of one operation finds the agents: in a daemon, or in a file.
type target struct {
	p    *program
	addr string
	db   string
}

func (t *target) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.addr, "addr", "", "address of the daemon: host:port or unix:/path (or STATED_ADDR; default server.redis)")
	cmd.Flags().StringVar(&t.db, "db", "", "work on this file itself, without a daemon")
	cmd.MarkFlagsMutuallyExclusive("addr", "db")
}

// purpose says whether a command only reads: then it works on a file that somebody else owns.
type purpose bool

const (
	reading purpose = false
	writing purpose = true
)

// do connects, runs f, and disconnects. The whole of it has timeouts.request.
func (t *target) do(ctx context.Context, why purpose, f func(context.Context, protocol.Methods) error) (err error) {
	loaded, err := t.p.config()
	if err != nil {
		return err
	}
	if t.db != "" {
		return t.onFile(ctx, loaded.Config, why, f)
	}
	addr, err := t.address(loaded.Config)
	if err != nil {
		return err
	}
	timeout, cancel := context.WithTimeout(ctx, loaded.Timeouts.Request)
	defer cancel()
	client, err := resp.Dial(timeout, addr, resp.ClientOptions{})
	if err != nil {
		return unreachable(addr, err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return f(ctx, protocol.Methods{Handler: bounded{client, loaded.Timeouts.Request}})
}

func unreachable(addr string, err error) error {
	return protocol.Errorf(protocol.CodeUnavailable,
		"no daemon answers at %s (%s): start one with `stated serve`, name its address with --addr, or work on the file with --db FILE",
		addr, message(err)).Because(err)
}

func (t *target) address(c config.Config) (string, error) {
	switch {
	case t.addr != "":
		return t.addr, nil
	case t.p.getenv("STATED_ADDR") != "":
		return t.p.getenv("STATED_ADDR"), nil
	case len(c.Server.Redis) > 0:
		return c.Server.Redis[0], nil
	default:
		return "", usagef("server.redis is empty: name the daemon's address with --addr")
	}
}

func (t *target) onFile(
	ctx context.Context, c config.Config, why purpose, f func(context.Context, protocol.Methods) error,
) (err error) {
	open := store.OpenReadOnly
	if why == writing {
		open = store.Open
	}
	s, err := open(ctx, t.db, storeOptions(c))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	a := actor.New(s, actorOptions(c))
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	return f(ctx, protocol.Methods{Handler: bounded{a, c.Timeouts.Request}})
}

// bounded gives every request of a command a deadline of its own.
type bounded struct {
	protocol.Handler
	timeout time.Duration
}

// Start hands the request over within the timeout.
func (b bounded) Start(ctx context.Context, r *protocol.Request) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	b.Handler.Start(ctx, r)
}

// Wait waits for the reply within the timeout.
func (b bounded) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.Handler.Wait(ctx, r)
}

func storeOptions(c config.Config) store.Options {
	return store.Options{
		Durability: store.Durability(c.Store.Durability), Readers: c.Store.Readers, CacheBytes: c.Store.CacheBytes,
		ReplyBytes: c.Limits.OutputBytes, LockTimeout: lockTimeout(c.Timeouts.StateStoreLock),
		Retry: store.Retry{
			Max: c.Timeouts.StateStoreRetryMax, Base: c.Timeouts.StateStoreRetryBase,
			MaxDelay: c.Timeouts.StateStoreRetryMaxDelay, Jitter: c.Timeouts.StateStoreRetryJitter,
		},
	}
}

// lockTimeout tells "not at all" from "the default", which the store's options write the other way round.
func lockTimeout(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func actorOptions(c config.Config) actor.Options {
	return actor.Options{
		Mailbox: c.Actor.Mailbox, MailboxBytes: c.Actor.MailboxBytes, Batch: c.Actor.Batch,
		BatchBytes: int(c.Actor.BatchBytes), StateBytes: c.Limits.StateBytes,
	}
}

// condition turns the flags of save and delete into a condition.
type condition struct {
	revision       int64
	absent, exists bool
}

func (c *condition) addFlags(cmd *cobra.Command, withAbsent bool) {
	cmd.Flags().Int64Var(&c.revision, "if-revision", 0, "only if the agent's last change has this revision")
	cmd.Flags().BoolVar(&c.exists, "if-exists", false, "only if the agent exists")
	if withAbsent {
		cmd.Flags().BoolVar(&c.absent, "if-absent", false, "only if the agent does not exist")
		cmd.MarkFlagsMutuallyExclusive("if-revision", "if-exists", "if-absent")
		return
	}
	cmd.MarkFlagsMutuallyExclusive("if-revision", "if-exists")
}

func (c *condition) get(cmd *cobra.Command) protocol.Condition {
	switch {
	case cmd.Flags().Changed("if-revision"):
		return protocol.IfRevision(c.revision)
	case c.absent:
		return protocol.IfAbsent()
	case c.exists:
		return protocol.IfExists()
	default:
		return protocol.Condition{}
	}
}
