package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stated/stated/store/sqlite"
)

// conn is a connection to the database, used by one goroutine at a time.
type conn struct {
	*sqlite.Conn
	closed bool
}

// opening is held while SQLite opens a database with all that lies beside it. Whoever opens and closes one of these
// files without SQLite keeps it from doing so meanwhile, see readAside.
var opening sync.RWMutex

// connect opens a database, makes its settings, and reads from it, since SQLite opens the files no sooner. The connection
// waits so long for locks.
func connect(ctx context.Context, path string, readOnly, gather bool, wait time.Duration, settings string) (*conn, error) {
	opening.RLock()
	defer opening.RUnlock()
	raw, err := sqlite.Open(path, readOnly, gather)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw}
	c.SetLockTimeout(wait)
	err = c.Exec(ctx, settings)
	if err == nil {
		_, _, err = c.row(ctx, "PRAGMA schema_version")
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) close() error {
	c.closed = true
	return c.Close()
}

// exec runs a statement once; without arguments, several.
func (c *conn) exec(ctx context.Context, sql string, args ...any) error {
	if len(args) == 0 {
		return c.Exec(ctx, sql)
	}
	s, err := c.Prepare(sql)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Exec(ctx, args...)
	return err
}

// row runs a query once and gives its first row; ok is false when there is none.
func (c *conn) row(ctx context.Context, sql string, args ...any) (row []any, ok bool, err error) {
	s, err := c.Prepare(sql)
	if err != nil {
		return nil, false, err
	}
	defer s.Close()
	return s.Row(ctx, args...)
}

// withTimeout runs f while the connection waits so long for a lock. Afterwards it does not wait.
func (c *conn) withTimeout(wait time.Duration, f func() error) error {
	c.SetLockTimeout(wait)
	err := f()
	if !c.closed { // in f, after a failure
		c.SetLockTimeout(0)
	}
	return err
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
	if err := c.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.Exec(background, "COMMIT")
	}
	if err == nil {
		return nil
	}
	if rollback := c.Exec(background, "ROLLBACK"); rollback != nil && !isNoTransaction(rollback) {
		return errors.Join(err, rollback)
	}
	return err
}

// stmt is a prepared statement that lives as long as its connection.
type stmt struct {
	*sqlite.Stmt
	instead func(run func() error) error // of tests, for an exec to fail; nil otherwise
}

// statement is a text, and where the statement that it makes belongs.
type statement struct {
	to  **stmt
	sql string
}

func (c *conn) prepareAll(list []statement) error {
	for _, s := range list {
		prepared, err := c.Prepare(s.sql)
		if err != nil {
			return err
		}
		*s.to = &stmt{Stmt: prepared}
	}
	return nil
}

// exec runs the statement and gives the number of rows that it changed, those of triggers not counted.
func (s *stmt) exec(ctx context.Context, args ...any) (n int64, err error) {
	err = s.attempt(func() error {
		n, err = s.Exec(ctx, args...)
		return err
	})
	return n, err
}

// run is exec for a statement whose parameters are set.
func (s *stmt) run() (int64, error) {
	err := s.attempt(func() error {
		_, err := s.Step(background)
		s.Reset()
		return err
	})
	return s.Changes(), err
}

func (s *stmt) attempt(run func() error) error {
	if s.instead != nil {
		return s.instead(run)
	}
	return run()
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
