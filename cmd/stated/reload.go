package main

import (
	"crypto/tls"
	"errors"
	"slices"

	"github.com/rs/zerolog"

	"github.com/stated/stated/config"
)

// reloadable are the keys that take effect without a restart.
var reloadable = []string{"log.level", "auth.tokens", "server.tls.cert", "server.tls.key"}

// reload reads the configuration again, and the files that it names, and takes over log level, tokens and certificate:
// all of them, or, when anything is wrong, none.
func (d *daemon) reload(load func() (*config.Loaded, error)) {
	if err := d.takeOver(load); err != nil {
		d.log.Error().Err(err).Msg("not reloaded, all is as before")
		return
	}
	d.log.Info().Str("log_level", d.loaded.Log.Level).Int("tokens", len(d.loaded.Auth.Tokens)).Msg("reloaded")
}

func (d *daemon) takeOver(load func() (*config.Loaded, error)) error {
	fresh, err := load()
	if err != nil {
		return err
	}
	tokens, err := readTokens(fresh.Auth)
	if err != nil {
		return err
	}
	if len(tokens) == 0 && slices.ContainsFunc(d.listeners, listener.exposed) {
		return errors.New("there are no tokens any more, and the daemon listens on other than loopback")
	}
	var pair *tls.Certificate
	if d.cert != nil && fresh.Server.TLS.Cert != "" {
		if pair, err = readPair(fresh.Server.TLS); err != nil {
			return err
		}
	}
	if err := d.tokens.Replace(tokens...); err != nil {
		return usagef("auth.tokens: %w", err)
	}
	if pair != nil {
		d.cert.now.Store(pair)
	}
	setLevel(fresh.Log)
	d.warnOfRestart(fresh)
	d.loaded.Auth, d.loaded.Log.Level = fresh.Auth, fresh.Log.Level
	return nil
}

// warnOfRestart names the keys that have changed and have no effect yet.
func (d *daemon) warnOfRestart(fresh *config.Loaded) {
	old := d.loaded.Values()
	for i, v := range fresh.Values() {
		if v.String() != old[i].String() && !slices.Contains(reloadable, v.Key) {
			d.log.Warn().Str("key", v.Key).Msg("this change takes effect at the next start")
		}
	}
	if (fresh.Server.TLS.Cert == "") != (d.cert == nil) {
		d.log.Warn().Str("key", "server.tls").Msg("TLS is switched on or off at the next start")
	}
}

// setLevel sets the level of the whole program: loggers have been handed out by value.
func setLevel(c config.Log) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil { // the configuration was validated
		level = zerolog.InfoLevel
	}
	zerolog.SetGlobalLevel(level)
}
