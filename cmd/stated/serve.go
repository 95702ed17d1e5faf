package main

import (
	"context"
	"fmt"
	"io"
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
what it has begun within timeouts.shutdown, and ends; a second signal ends it at once.

` + exitHelp,
		Args: args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			log := newLogger(p.err, loaded.Log)
			d, err := newDaemon(cmd.Context(), loaded.Config, log)
			if err != nil {
				return err
			}
			if err := d.greet(p.out); err != nil {
				log.Warn().Err(err).Msg("standard output cannot be written")
			}
			return d.run(cmd.Context())
		},
	}
	addFileFlag(cmd, p)
	cmd.Flags().Var(&settingFlag{p: p, key: "server.redis", flag: "--redis"}, "redis",
		"listen for the Redis protocol: host:port or unix:/path, commas between several; empty = off (server.redis)")
	return cmd
}

// newLogger makes the program's logger as the configuration has it.
func newLogger(to io.Writer, c config.Log) zerolog.Logger {
	if c.Format == "console" || c.Format == "auto" && isTerminal(to) {
		to = zerolog.ConsoleWriter{Out: to, TimeFormat: time.RFC3339}
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil { // the configuration was validated
		level = zerolog.InfoLevel
	}
	return zerolog.New(to).Level(level).With().Timestamp().Logger()
}

// greet tells a person where the daemon is and how to try it.
func (d *daemon) greet(to io.Writer) error {
	info := d.store.Info()
	text := fmt.Sprintf("stated %s keeps %s\n", readAbout().Version, info.Path)
	for _, l := range d.listeners {
		text += "  " + tryIt(l.Addr().Network(), l.Addr().String())
	}
	text += fmt.Sprintf("  look   sqlite3 -readonly '%s' 'select * from agent_state'\n", info.Path)
	_, err := io.WriteString(to, text)
	return err
}

func tryIt(network, addr string) string {
	if network == "unix" {
		return fmt.Sprintf("redis  unix:%s   try: redis-cli -s %s state.save alice '{\"turn\":1}'\n", addr, addr)
	}
	host, port := splitAddr(addr)
	return fmt.Sprintf("redis  %s   try: redis-cli -h %s -p %s state.save alice '{\"turn\":1}'\n", addr, host, port)
}

// run serves until ctx ends or something fails, and stops in order.
func (d *daemon) run(ctx context.Context) error {
	failed := d.start()
	d.log.Info().Str("path", d.store.Info().Path).Str("store_id", d.store.Info().StoreID).
		Strs("redis", d.addresses()).Str("durability", d.config.Store.Durability).Msg("ready")
	var err error
	select {
	case <-ctx.Done():
		d.log.Info().Msg("stopping: finishing what was begun")
	case err = <-failed:
		d.log.Error().Err(err).Msg("stopping after a failure")
	}
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.config.Timeouts.Shutdown)
	defer cancel()
	if stopErr := d.stop(timeout); stopErr != nil && err == nil {
		err = stopErr
	}
	if err == nil {
		d.log.Info().Msg("stopped")
	}
	return err
}
