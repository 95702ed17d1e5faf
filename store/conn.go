package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// conn is one connection of the driver, used by one goroutine at a time. It is what the store needs of
// database/sql and no more.
type conn struct {
	raw      driver.Conn
	prepared []*stmt // those that live as long as the connection
	closed   bool
}

// opening is held while SQLite opens a database with all that lies beside it. Whoever opens and closes one of these
// files without SQLite keeps it from doing so meanwhile, see readAside.
var opening sync.RWMutex

// connect opens a database, and reads from it, since SQLite opens the files beside it no sooner.
func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	opening.RLock()
	defer opening.RUnlock()
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw}
	if _, _, err := c.row(ctx, "PRAGMA schema_version"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// close rolls back an open transaction, if there is one. The statements go first: while one is left, SQLite keeps the
// connection half open, with its files and locks.
func (c *conn) close() error {
	c.closed = true
	var errs []error
	for _, s := range c.prepared {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// exec runs one or more statements once.
func (c *conn) exec(ctx context.Context, sql string, args ...driver.Value) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(ctx, sql, named(nil, args))
	return err
}

// row runs a query once and gives its first row; ok is false when there is none.
func (c *conn) row(ctx context.Context, sql string, args ...driver.Value) (row []driver.Value, ok bool, err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.row(ctx, args...)
}

// readOnly reports whether the database file can only be read.
func (c *conn) readOnly() (bool, error) {
	return c.raw.(interface{ IsReadOnly(string) (bool, error) }).IsReadOnly("main")
}

// withTimeout runs f while the connection waits so long for a lock. Afterwards it does not wait.
func (c *conn) withTimeout(wait time.Duration, f func() error) error {
	if err := c.exec(background, lockTimeoutPragma(wait)); err != nil {
		return err
	}
	err := f()
	if c.closed { // in f, after a failure
		return err
	}
	return errors.Join(err, c.exec(background, lockTimeoutPragma(0)))
}

// number gives the one number that a pragma has for an answer.
func (c *conn) number(query string) (int64, error) {
	row, ok, err := c.row(background, query)
	if err != nil || !ok {
		return 0, err
	}
	n, _ := row[0].(int64)
	return n, nil
}

// inTransaction runs f between BEGIN IMMEDIATE and COMMIT.
func (c *conn) inTransaction(ctx context.Context, f func() error) error {
	if err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.exec(context.Background(), "COMMIT")
	}
	if err == nil {
		return nil
	}
	if rollback := c.exec(context.Background(), "ROLLBACK"); rollback != nil && !isNoTransaction(rollback) {
		return errors.Join(err, rollback)
	}
	return err
}

// pagesWritten gives how many pages the connection has written into the write-ahead log since it was asked last.
func (c *conn) pagesWritten() int64 {
	n, _, err := c.raw.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
	if err != nil {
		return 0 // SQLite has no reason for one
	}
	return int64(n)
}

// stmt is a prepared statement.
type stmt struct {
	raw  driver.Stmt
	args []driver.NamedValue // reused from call to call
}

func (c *conn) prepare(sql string) (*stmt, error) {
	raw, err := c.raw.(driver.ConnPrepareContext).PrepareContext(context.Background(), sql)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", sql, err)
	}
	return &stmt{raw: raw}, nil
}

func (s *stmt) close() error { return s.raw.Close() }

// exec runs the statement and gives the number of rows that it changed, those of triggers not counted.
func (s *stmt) exec(ctx context.Context, args ...driver.Value) (int64, error) {
	s.args = named(s.args[:0], args)
	result, err := s.raw.(driver.StmtExecContext).ExecContext(ctx, s.args)
	clear(s.args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row runs the statement as a query and gives its first row; ok is false when there is none.
func (s *stmt) row(ctx context.Context, args ...driver.Value) (row []driver.Value, ok bool, err error) {
	err = s.each(ctx, func(r []driver.Value) (bool, error) {
		row, ok = r, true
		return false, nil
	}, args...)
	return row, ok, err
}

// each runs the statement as a query and calls f for every row until f gives false. The row is reused.
func (s *stmt) each(ctx context.Context, f func(row []driver.Value) (bool, error), args ...driver.Value) (err error) {
	s.args = named(s.args[:0], args)
	rows, err := s.raw.(driver.StmtQueryContext).QueryContext(ctx, s.args)
	clear(s.args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if more, err := f(row); err != nil || !more {
			return err
		}
		if err := ctx.Err(); err != nil { // the driver looks at it in the first step only
			return err
		}
	}
}

func named(to []driver.NamedValue, args []driver.Value) []driver.NamedValue {
	for i, a := range args {
		to = append(to, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return to
}

// literal gives s as an SQL string literal, for statements that take no parameter.
func literal(s string) string {
	b := []byte{'\''}
	for i := 0; i < len(s); i++ {
		if s[i] == '\'' {
			b = append(b, '\'')
		}
		b = append(b, s[i])
	}
	return string(append(b, '\''))
}
