package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/cmd/stated/bench"
	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
)

// benchTarget says what to measure: this process on a file, or a daemon.
type benchTarget struct {
	target
	http       string
	withOthers bool
	clean      bool
}

// addFlags differs from that of [target]: without a flag, a benchmark goes to no daemon and to no file that is there.
func (t *benchTarget) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.db, "db", "", "in-process, on this file (default: a temporary one)")
	f.StringVar(&t.addr, "addr", "", "through the daemon at host:port or unix:/path, by the Redis protocol")
	f.StringVar(&t.http, "http", "", "through the daemon at host:port, http://…, https://… or unix:/path, by HTTP")
	f.StringVar(&t.tokenFile, "token-file", "", "file with the token for the daemon (or the token itself in STATED_TOKEN)")
	f.BoolVar(&t.tls, "tls", false, "speak TLS with the daemon")
	f.StringVar(&t.tlsCA, "tls-ca", "", "trust the authorities in this PEM file in place of the system's; implies --tls")
	f.Var(&settingFlag{p: t.p, key: "store.durability", flag: "--durability"}, "durability", "in-process: full, normal or off (store.durability)")
	f.BoolVar(&t.withOthers, "with-others", false, "also where there are agents of others; those are left as they are")
	f.BoolVar(&t.clean, "clean", false, "delete the benchmark's agents at the end")
	exclusive(cmd, "db", "addr", "http")
	for _, flag := range []string{"token-file", "tls", "tls-ca"} {
		exclusive(cmd, flag, "db")
	}
	exclusive(cmd, "durability", "addr")
	exclusive(cmd, "durability", "http")
	before(cmd, t.check)
}

func (t *benchTarget) check(cmd *cobra.Command) error {
	f := cmd.Flags()
	for _, name := range []string{"db", "addr", "http", "token-file", "tls-ca"} {
		if f.Changed(name) && f.Lookup(name).Value.String() == "" {
			return usagef("--%s is empty", name)
		}
	}
	if t.addr != "" && !isAddress(t.addr) {
		return usagef("--addr: %q is not an address: want host:port, such as 127.0.0.1:7828, or unix:/path", t.addr)
	}
	if t.addr+t.http == "" && (t.tls || t.tokenFile+t.tlsCA != "") {
		return usagef("--token-file, --tls and --tls-ca are for a daemon: name it with --addr or --http")
	}
	if isAddress(t.http) && !strings.HasPrefix(t.http, "unix:") {
		scheme := "http://"
		if t.tls || t.tlsCA != "" {
			scheme = "https://"
		}
		t.http = scheme + t.http
	}
	return nil
}

// opened is a target that can be measured.
type opened struct {
	bench.Target
	name   string
	medium string // the file system, if it is one in memory
	path   string // of the file that stays; empty for a daemon or a temporary file
	close  func() error
}

// open makes the target ready, and refuses it if it has agents of others.
func (t *benchTarget) open(ctx context.Context, c config.Config) (*opened, error) {
	var o *opened
	var err error
	switch {
	case t.addr != "":
		o, err = t.openRedis()
	case t.http != "":
		o, err = t.openHTTP()
	default:
		o, err = t.openFile(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	if err := t.refuseOthers(ctx, o); err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func (t *benchTarget) refuseOthers(ctx context.Context, o *opened) (err error) {
	if t.withOthers {
		return nil
	}
	h, closer, err := o.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	id, err := bench.Others(ctx, h)
	if err == nil && id != "" {
		err = others(o.name, id)
	}
	return err
}

func others(where, id string) error {
	return usagef("%s has agents that are not a benchmark's, such as %q; say --with-others if it may be filled and written all the same", where, id)
}

func (t *benchTarget) openRedis() (*opened, error) {
	options, err := t.clientOptions()
	if err != nil {
		return nil, err
	}
	options.Name = "stated-bench"
	o := &opened{name: "daemon at " + t.addr + " by RESP", close: func() error { return nil }}
	o.Connect = func(ctx context.Context) (protocol.Handler, func() error, error) {
		client, err := resp.Dial(ctx, t.addr, options)
		if err != nil {
			return nil, nil, t.unreachable(t.addr, options, err)
		}
		return client, client.Close, nil
	}
	o.Observe = func(ctx context.Context) (bench.Observation, error) {
		info, err := resp.FetchInfo(ctx, t.addr, options, "stated", "memory")
		return observation(func(key string) string { return info[key] }), err
	}
	return o, nil
}

func (t *benchTarget) openHTTP() (*opened, error) {
	options, err := t.clientOptions()
	if err != nil {
		return nil, err
	}
	o := &opened{name: "daemon at " + t.http + " by HTTP", close: func() error { return nil }}
	dial := func(ctx context.Context) (*httpapi.Client, error) {
		return httpapi.Dial(ctx, t.http, httpapi.ClientOptions{Token: options.Token, TLS: options.TLS, Connections: 1})
	}
	o.Connect = func(ctx context.Context) (protocol.Handler, func() error, error) {
		client, err := dial(ctx)
		if err != nil {
			return nil, nil, err
		}
		return client, client.Close, nil
	}
	o.Observe = func(ctx context.Context) (bench.Observation, error) {
		client, err := dial(ctx)
		if err != nil {
			return bench.Observation{}, err
		}
		info, err := client.Info(ctx)
		return observation(func(key string) string { return text(info[key]) }), errors.Join(err, client.Close())
	}
	return o, nil
}

// text gives a member of /v1/info as INFO does, "" when it is not there. JSON has one kind of number.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatInt(int64(v), 10)
	default:
		return fmt.Sprint(v)
	}
}

// observation reads what a daemon tells of itself. A key that an older one does not know is 0.
func observation(get func(string) string) bench.Observation {
	number := func(key string) int64 {
		n, _ := strconv.ParseInt(get(key), 10, 64)
		return n
	}
	return bench.Observation{
		Durability: get("durability"), Batches: number("batches"), Requests: number("batch_requests"),
		Syncs: number("commit_syncs"), DBBytes: number("db_bytes"), WALBytes: number("wal_bytes"), Resident: number("resident_bytes"),
	}
}

func (t *benchTarget) openFile(ctx context.Context, c config.Config) (_ *opened, err error) {
	path, remove := t.db, func() error { return nil }
	if path == "" {
		dir, err := os.MkdirTemp("", "stated-bench-")
		if err != nil {
			return nil, err
		}
		path, remove = filepath.Join(dir, "bench.db"), func() error { return os.RemoveAll(dir) }
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	if err := t.refuseFile(ctx, path, c); err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, path, storeOptions(c))
	if err != nil {
		return nil, err
	}
	a := actor.New(s, actorOptions(c))
	o := &opened{
		name: "in-process", medium: memoryFileSystem(filepath.Dir(path)), path: t.db,
		close: func() error { return errors.Join(a.Close(context.WithoutCancel(ctx)), s.Close(), remove()) },
	}
	o.Connect = func(context.Context) (protocol.Handler, func() error, error) {
		return a, func() error { return nil }, nil
	}
	o.Observe = func(context.Context) (bench.Observation, error) {
		info, counts := s.Info(), a.Info()
		return bench.Observation{
			Durability: string(info.Durability), Batches: counts.Batches, Requests: counts.Requests,
			Syncs: info.Syncs, DBBytes: info.DBBytes, WALBytes: info.WALBytes, Resident: residentBytes(),
		}, nil
	}
	return o, nil
}

// refuseFile looks at a file before it is opened for writing, which would adopt the file of another program.
func (t *benchTarget) refuseFile(ctx context.Context, path string, c config.Config) (err error) {
	stat, err := os.Stat(path)
	if t.withOthers || errors.Is(err, fs.ErrNotExist) || err == nil && stat.Size() == 0 {
		return nil
	}
	s, err := store.OpenReadOnly(ctx, path, storeOptions(c))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if !s.Info().Adopted {
		return usagef("%s is a file of another program; say --with-others if stated may adopt it and fill it", path)
	}
	a := actor.New(s, actorOptions(c))
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	id, err := bench.Others(ctx, a)
	if err == nil && id != "" {
		err = others(path, id)
	}
	return err
}
