package main

import (
	"path/filepath"

	redkadb "github.com/nalgeon/redka"
)

type redkaPeer struct{ db *redkadb.DB }

func openRedka(dir string, _ int) (peer, error) {
	db, err := redkadb.Open(filepath.Join(dir, "redka.db"), &redkadb.Options{
		DriverName: "sqlite",
		// Its own, but for synchronous.
		Pragma: map[string]string{
			"journal_mode": "wal", "synchronous": "full", "temp_store": "memory", "mmap_size": "268435456", "foreign_keys": "on",
		},
	})
	if err != nil {
		return nil, err
	}
	return &redkaPeer{db}, nil
}

func (p *redkaPeer) save(id string, state []byte) error { return p.db.Str().Set(id, state) }

func (p *redkaPeer) load(id string) ([]byte, error) {
	value, err := p.db.Str().Get(id)
	return value.Bytes(), err
}

func (p *redkaPeer) close() error { return p.db.Close() }
