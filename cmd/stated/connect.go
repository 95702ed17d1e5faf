package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
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
	p         *program
	addr      string
	db        string
	tokenFile string
	tls       bool
	tlsCA     string
}

func (t *target) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.addr, "addr", "", "address of the daemon: host:port or unix:/path (or STATED_ADDR; default server.redis)")
	cmd.Flags().StringVar(&t.db, "db", "", "work on this file itself, without a daemon")
	cmd.Flags().StringVar(&t.tokenFile, "token-file", "", "file with the token for the daemon (or the token itself in STATED_TOKEN)")
	cmd.Flags().BoolVar(&t.tls, "tls", false, "speak TLS with the daemon")
	cmd.Flags().StringVar(&t.tlsCA, "tls-ca", "", "trust the authorities in this PEM file in place of the system's; implies --tls")
	exclusive(cmd, "addr", "db")
	for _, flag := range []string{"token-file", "tls", "tls-ca"} {
		exclusive(cmd, flag, "db")
	}
	before(cmd, t.check)
}

// check looks at the target before anything is read or connected. STATED_ADDR counts when no flag is given.
func (t *target) check(cmd *cobra.Command) error {
	for name, value := range map[string]string{"addr": t.addr, "db": t.db, "token-file": t.tokenFile, "tls-ca": t.tlsCA} {
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
	options, err := t.clientOptions()
	if err != nil {
		return err
	}
	client, err := resp.Dial(timeout, addr, options)
	switch {
	case err != nil && ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return t.unreachable(addr, options, err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return f(ctx, protocol.Methods{Handler: bounded{client, loaded.Timeouts.Request}})
}

// clientOptions are what the daemon wants to see of a client.
func (t *target) clientOptions() (o resp.ClientOptions, err error) {
	o.Token = t.p.getenv("STATED_TOKEN")
	if t.tokenFile != "" {
		if o.Token, err = readToken(t.tokenFile); err != nil {
			return o, usagef("--token-file: %w", err)
		}
	}
	if t.tls || t.tlsCA != "" {
		o.TLS, err = clientTLS(t.tlsCA)
	}
	return o, err
}

func (t *target) unreachable(addr string, o resp.ClientOptions, err error) error {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, protocol.CodeUnauthenticated) && o.Token == "":
		return protocol.Errorf(protocol.CodeUnauthenticated,
			"the daemon at %s wants a token: name a file that holds it with --token-file, or put it into STATED_TOKEN", addr).Because(err)
	case errors.Is(err, protocol.CodeUnauthenticated):
		return protocol.Errorf(protocol.CodeUnauthenticated, "the daemon at %s does not know this token", addr).Because(err)
	case errors.As(err, &certificate):
		return protocol.Errorf(protocol.CodeUnavailable,
			"the certificate of %s is not to be trusted (%w): name its authority with --tls-ca", addr, certificate.Err)
	}
	hint := ""
	var notTLS tls.RecordHeaderError
	switch {
	case o.TLS == nil && errors.Is(err, io.EOF):
		hint = "; if it speaks TLS, say --tls"
	case errors.As(err, &notTLS):
		hint = "; if it speaks no TLS, leave out --tls and --tls-ca"
	}
	return protocol.Errorf(protocol.CodeUnavailable,
		"no daemon answers at %s (%s%s): start one with `stated serve`, name its address with --addr, or work on the file with --db FILE",
		addr, message(err), hint).Because(err)
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
		return protocol.Errorf(protocol.CodeInvalid, "%s does not exist", t.db)
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

// hotBytes gives what store.Options take for none: there, 0 is the default.
func hotBytes(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func storeOptions(c config.Config) store.Options {
	return store.Options{
		Durability: store.Durability(c.Store.Durability), Readers: c.Store.Readers, CacheBytes: c.Store.CacheBytes,
		HotBytes: hotBytes(c.Store.HotBytes), WALBytes: c.Store.WALBytes, WALWrites: store.WALWrites(c.Store.WALWrites),
		Commits: store.Commits(c.Store.Commits), ReplyBytes: c.Limits.OutputBytes, LockTimeout: c.Timeouts.StateStoreLock,
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
