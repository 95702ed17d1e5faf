package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/stated/stated/config"
)

func newServeCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `serve runs the daemon on one SQLite file until it gets SIGTERM or SIGINT. Then it accepts no more clients, finishes
what it has begun within timeouts.shutdown, and ends; a second signal ends it at once. At SIGHUP it reads log.level,
auth.tokens with their files, and the certificate again; if anything is wrong with them, all stays as it was.

` + exitHelp,
		Args: args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			setLevel(loaded.Log)
			log := p.newLogger(loaded.Log)
			d, err := newDaemon(cmd.Context(), loaded, log)
			if err != nil {
				return err
			}
			if err := d.greet(p.out); err != nil {
				log.Warn().Err(err).Msg("standard output cannot be written")
			}
			reserve := reserveHeap(p.getenv)
			defer runtime.KeepAlive(reserve)
			return d.run(cmd.Context(), p.config)
		},
	}
	addFileFlag(cmd, p)
	cmd.Flags().Var(&settingFlag{p: p, key: "server.http", flag: "--http"}, "http",
		"listen for HTTP, likewise (server.http)")
	cmd.Flags().Var(&settingFlag{p: p, key: "server.redis", flag: "--redis"}, "redis",
		"listen for the Redis protocol: host:port or unix:/path, commas between several; empty = off (server.redis)")
	return cmd
}

// newLogger makes the program's logger; its level is that of the program, see setLevel.
func (p *program) newLogger(c config.Log) zerolog.Logger {
	to := p.err
	if c.Format == "console" || c.Format == "auto" && isTerminal(to) {
		plain := !isTerminal(to) || p.getenv("NO_COLOR") != "" // https://no-color.org
		to = zerolog.ConsoleWriter{Out: to, TimeFormat: time.RFC3339, NoColor: plain}
	}
	return zerolog.New(to).With().Timestamp().Logger()
}

// greet tells a person where the daemon is and how to try it.
func (d *daemon) greet(to io.Writer) error {
	info := d.store.Info()
	text := fmt.Sprintf("stated %s keeps %s\n", readAbout().Version, info.Path)
	for _, l := range d.listeners {
		text += "  " + d.tryIt(l)
	}
	text += fmt.Sprintf("  look   sqlite3 -readonly '%s' 'select * from agent_state'\n", info.Path)
	_, err := io.WriteString(to, text)
	return err
}

// tryIt shows how a client without anything but its command line reaches a listener.
func (d *daemon) tryIt(l listener) string {
	addr := l.Addr().String()
	host, port := splitAddr(addr)
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = "localhost" // it is one of many
	}
	isUnix := l.Addr().Network() == "unix"
	if l.front == frontHTTP {
		url, args := "http://"+net.JoinHostPort(host, port), ""
		switch {
		case isUnix:
			url, args = "http://stated", "--unix-socket "+addr+" "
		case l.tls:
			url = "https://" + net.JoinHostPort(host, port)
		}
		if d.tokens.Required() {
			args += `-H "Authorization: Bearer $TOKEN" `
		}
		return fmt.Sprintf("http   %s   try: curl %s%s/v1/agents/alice\n", addr, args, url)
	}
	args := fmt.Sprintf("-h %s -p %s", host, port)
	switch {
	case isUnix:
		args = "-s " + addr
	case l.tls:
		args += " --tls"
	}
	login := ""
	if d.tokens.Required() {
		login = `REDISCLI_AUTH="$TOKEN" `
	}
	return fmt.Sprintf("redis  %s   try: %sredis-cli %s state.save alice '{\"turn\":1}'\n", addr, login, args)
}

// run serves until ctx ends or something fails, and stops in order.
func (d *daemon) run(ctx context.Context, load func() (*config.Loaded, error)) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	failed := d.start()
	defer d.watch.answer()()
	d.watch.manager.ready(d.status())
	d.log.Info().Str("path", d.store.Info().Path).Str("store_id", d.store.Info().StoreID).
		Strs("redis", d.addresses(frontRedis)).Strs("http", d.addresses(frontHTTP)).Bool("tls", d.cert != nil).
		Int("tokens", len(d.loaded.Auth.Tokens)).Str("durability", d.loaded.Store.Durability).Msg("ready")
	err := d.untilStopped(ctx, failed, hangup, load)
	d.watch.manager.stopping("finishing what was begun")
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.loaded.Timeouts.Shutdown)
	defer cancel()
	if stopErr := d.stop(timeout); stopErr != nil && err == nil {
		err = stopErr
	}
	if err == nil {
		d.log.Info().Msg("stopped")
	}
	return err
}

// untilStopped blocks until ctx ends or something fails, which it gives back.
func (d *daemon) untilStopped(
	ctx context.Context, failed <-chan error, hangup <-chan os.Signal, load func() (*config.Loaded, error),
) error {
	for {
		select {
		case <-hangup:
			d.watch.manager.reloading()
			d.reload(load)
			d.watch.manager.ready(d.status())
		case <-ctx.Done():
			d.log.Info().Msg("stopping: finishing what was begun")
			return nil
		case err := <-failed:
			d.log.Error().Err(err).Msg("stopping after a failure")
			return err
		}
	}
}
