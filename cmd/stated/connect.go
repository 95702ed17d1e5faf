package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
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
	exclusive(cmd, "addr", "db")
	before(cmd, t.check)
}

// check looks at the target before anything is read or connected. STATED_ADDR counts when no flag is given.
func (t *target) check(cmd *cobra.Command) error {
	for name, value := range map[string]string{"addr": t.addr, "db": t.db} {
		if value == "" && cmd.Flags().Changed(name) {
			return usagef("--%s is empty", name)
		}
	}
	origin := "--addr"
	if t.addr == "" && t.db == "" {
		t.addr, origin = t.p.getenv("STATED_ADDR"), "STATED_ADDR"
	}
	if t.addr != "" && !isAddress(t.addr) {
		return usagef("%s: %q is not an address: want host:port, such as 127.0.0.1:7828, or unix:/path", origin, t.addr)
	}
	return nil
}

// isAddress reports whether a daemon could be at this address.
func isAddress(addr string) bool {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return path != ""
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// purpose says what a command does to a file. One that reads works on a file that somebody else owns, too.
type purpose int

const (
	reading  purpose = iota
	writing          // the file has to be there
	creating         // the file is made if it is not there
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
		if ctx.Err() != nil {
			return errInterrupted
		}
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
	case len(c.Server.Redis) > 0:
		return c.Server.Redis[0], nil
	default:
		return "", usagef("server.redis is empty: name the daemon's address with --addr")
	}
}

func (t *target) onFile(
	ctx context.Context, c config.Config, why purpose, f func(context.Context, protocol.Methods) error,
) (err error) {
	if _, err := os.Stat(t.db); why == writing && errors.Is(err, fs.ErrNotExist) {
		return protocol.Errorf(protocol.CodeInvalid, "%w", err)
	}
	open := store.Open
	if why == reading {
		open = store.OpenReadOnly
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
		WALBytes:   c.Store.WALBytes,
		ReplyBytes: c.Limits.OutputBytes, LockTimeout: c.Timeouts.StateStoreLock,
		Retry: store.Retry{
			Max: c.Timeouts.StateStoreRetryMax, Base: c.Timeouts.StateStoreRetryBase,
			MaxDelay: c.Timeouts.StateStoreRetryMaxDelay, Jitter: c.Timeouts.StateStoreRetryJitter,
		},
	}
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
		exclusive(cmd, "if-revision", "if-exists", "if-absent")
		return
	}
	exclusive(cmd, "if-revision", "if-exists")
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
