package main

import (
	"database/sql"
	"errors"
	"time"
)

// bareSettings are what the bare loops need to be as fast as they can: a checkpoint each 1,000 pages, as SQLite has it,
// would cost a third of their speed, and its cache of 2 MB does not hold 10,000 agents.
var bareSettings = []string{"wal_autocheckpoint(10000)", "cache_size(-65536)"}

// timestamp is updated_at as stated writes it.
const timestamp = "2006-01-02 15:04:05.000"

// bareSQLPeer is what SQLite costs behind database/sql: one connection, prepared statements, nobody beside it.
type bareSQLPeer struct {
	db                      *sql.DB
	begin, put, commit, get *sql.Stmt
	revision                int64
}

func openBareSQL(dir string, _ int) (_ peer, err error) {
	p := &bareSQLPeer{}
	if p.db, err = sql.Open("sqlite", dsn(dir, bareSettings...)); err != nil {
		return nil, err
	}
	p.db.SetMaxOpenConns(1) // so that a transaction's statements meet on it
	_, err = p.db.Exec(wideTable)
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{{&p.begin, "BEGIN IMMEDIATE"}, {&p.put, wideUpsert}, {&p.commit, "COMMIT"}, {&p.get, selectState}} {
		if err == nil {
			*s.stmt, err = p.db.Prepare(s.text)
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	return p, nil
}

func (p *bareSQLPeer) saveAll(items []item) error {
	if _, err := p.begin.Exec(); err != nil {
		return err
	}
	now := time.Now().UTC().Format(timestamp)
	for _, it := range items {
		p.revision++
		if _, err := p.put.Exec(it.id, string(it.state), now, p.revision, p.revision); err != nil {
			return err
		}
	}
	_, err := p.commit.Exec()
	return err
}

func (p *bareSQLPeer) save(id string, state []byte) error { return p.saveAll([]item{{id, state}}) }

func (p *bareSQLPeer) load(id string) (state []byte, err error) {
	err = p.get.QueryRow(id).Scan(&state)
	return state, err
}

func (p *bareSQLPeer) close() error { return p.db.Close() }
