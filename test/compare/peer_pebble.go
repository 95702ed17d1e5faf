package main

import (
	"bytes"
	"errors"

	pebbledb "github.com/cockroachdb/pebble/v2"
)

type pebblePeer struct{ db *pebbledb.DB }

func openPebble(dir string, _ int) (peer, error) {
	cache := pebbledb.NewCache(64 << 20)
	defer cache.Unref()
	db, err := pebbledb.Open(dir, &pebbledb.Options{Cache: cache, MemTableSize: 64 << 20, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	return &pebblePeer{db}, nil
}

func (p *pebblePeer) save(id string, state []byte) error {
	return p.db.Set([]byte(id), state, pebbledb.Sync)
}

func (p *pebblePeer) load(id string) ([]byte, error) {
	value, closer, err := p.db.Get([]byte(id))
	if err != nil {
		return nil, err
	}
	state := bytes.Clone(value)
	return state, closer.Close()
}

func (p *pebblePeer) close() error {
	return errors.Join(p.db.Flush(), p.db.Close())
}

// quiet drops what Pebble logs, but for what it cannot go on after.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	pebbledb.DefaultLogger.Fatalf(format, args...)
}
