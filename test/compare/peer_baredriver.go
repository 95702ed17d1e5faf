package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"modernc.org/sqlite"
)

// bareDriverPeer is what SQLite costs without database/sql: the driver's statements on one connection.
type bareDriverPeer struct {
	conn               driver.Conn
	begin, put, commit driver.StmtExecContext
	get                driver.StmtQueryContext
	args               []driver.NamedValue
	revision           int64
}

func openBareDriver(dir string, _ int) (_ peer, err error) {
	conn, err := (&sqlite.Driver{}).Open(dsn(dir, bareSettings...))
	if err != nil {
		return nil, err
	}
	p := &bareDriverPeer{conn: conn, args: make([]driver.NamedValue, 5)}
	for i := range p.args {
		p.args[i].Ordinal = i + 1
	}
	_, err = conn.(driver.ExecerContext).ExecContext(context.Background(), wideTable, nil)
	prepare := func(text string) (s driver.Stmt) {
		if err == nil {
			s, err = conn.Prepare(text)
		}
		return s
	}
	begin, put, commit, get := prepare("BEGIN IMMEDIATE"), prepare(wideUpsert), prepare("COMMIT"), prepare(selectState)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p.begin, p.put = begin.(driver.StmtExecContext), put.(driver.StmtExecContext)
	p.commit, p.get = commit.(driver.StmtExecContext), get.(driver.StmtQueryContext)
	return p, nil
}

func (p *bareDriverPeer) saveAll(items []item) error {
	ctx := context.Background()
	if _, err := p.begin.ExecContext(ctx, nil); err != nil {
		return err
	}
	now := time.Now().UTC().Format(timestamp)
	for _, it := range items {
		p.revision++
		p.args[0].Value, p.args[1].Value, p.args[2].Value = it.id, string(it.state), now
		p.args[3].Value, p.args[4].Value = p.revision, p.revision
		if _, err := p.put.ExecContext(ctx, p.args); err != nil {
			return err
		}
	}
	_, err := p.commit.ExecContext(ctx, nil)
	return err
}

func (p *bareDriverPeer) save(id string, state []byte) error { return p.saveAll([]item{{id, state}}) }

func (p *bareDriverPeer) load(id string) (_ []byte, err error) {
	rows, err := p.get.QueryContext(context.Background(), []driver.NamedValue{{Ordinal: 1, Value: id}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("no agent %q", id)
	} else if err != nil {
		return nil, err
	}
	return fmt.Append(nil, row[0]), nil
}

func (p *bareDriverPeer) close() error { return p.conn.Close() }
