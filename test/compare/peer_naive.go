package main

import (
	"database/sql"
	"errors"
)

// naivePeer is what a program without stated does: each worker has a connection of its own and lets SQLite's lock decide.
type naivePeer struct {
	writers, readers *sql.DB
	get              *sql.Stmt
}

func openNaive(dir string, clients int) (_ peer, err error) {
	p := &naivePeer{}
	if p.writers, err = sql.Open("sqlite", dsn(dir)); err != nil {
		return nil, err
	}
	p.writers.SetMaxOpenConns(clients)
	p.writers.SetMaxIdleConns(clients)
	if p.readers, err = sql.Open("sqlite", dsn(dir)); err != nil {
		return nil, errors.Join(err, p.writers.Close())
	}
	p.readers.SetMaxOpenConns(4)
	p.readers.SetMaxIdleConns(4)
	if _, err = p.writers.Exec(plainTable); err == nil {
		p.get, err = p.readers.Prepare(selectState)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *naivePeer) save(id string, state []byte) error {
	tx, err := p.writers.Begin()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(plainUpsert, id, string(state)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (p *naivePeer) load(id string) (state []byte, err error) {
	err = p.get.QueryRow(id).Scan(&state)
	return state, err
}

func (p *naivePeer) close() error { return errors.Join(p.readers.Close(), p.writers.Close()) }
