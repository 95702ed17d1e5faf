package sqlite

import (
	"context"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// Stmt is a prepared statement. Its parameters are numbered from 1, its columns from 0.
//
// The easy way is Exec, Row and Each. The quick way, which allocates nothing, is: Text and Int for the parameters; Step
// until it gives false, and the columns whenever it gave true; Reset, whatever happened.
type Stmt struct {
	c       *Conn
	p       uintptr
	columns int
	texts   []buffer // those of the parameters that are text, from parameter 1
}

// buffer is memory of the library, which lends the bytes of a parameter to SQLite.
type buffer struct {
	p    uintptr
	size int
}

// keepBuffer is the largest buffer that a statement keeps from one run to the next.
const keepBuffer = 64 << 10

// Prepare makes a statement that lives until it is closed, or its connection is.
func (c *Conn) Prepare(sql string) (s *Stmt, err error) {
	err = withCString(c.tls, sql, func(text uintptr) error {
		s, _, err = c.prepare(text, lib.SQLITE_PREPARE_PERSISTENT)
		return err
	})
	if err == nil && s == nil {
		err = &Error{Code: lib.SQLITE_ERROR, Message: "no statement"}
	}
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", sql, err)
	}
	return s, nil
}

// prepare makes the first statement of a text, nil if there is none, and gives where the rest begins.
func (c *Conn) prepare(text uintptr, flags uint32) (s *Stmt, rest uintptr, err error) {
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, flags, c.word, c.word+8)
	if err := c.failed(rc); err != nil {
		return nil, 0, err
	}
	p, rest := *at[uintptr](c.word), *at[uintptr](c.word + 8)
	if p == 0 {
		return nil, rest, nil
	}
	s = &Stmt{
		c: c, p: p, columns: int(lib.Xsqlite3_column_count(c.tls, p)),
		texts: make([]buffer, lib.Xsqlite3_bind_parameter_count(c.tls, p)),
	}
	c.prepared[s] = struct{}{}
	return s, rest, nil
}

// Close finalizes the statement. Only the first call does something.
func (s *Stmt) Close() {
	if s.p == 0 {
		return
	}
	lib.Xsqlite3_finalize(s.c.tls, s.p) // its error is that of the last Step, told before
	for _, b := range s.texts {
		libc.Xfree(s.c.tls, b.p)
	}
	s.p, s.texts = 0, nil
	delete(s.c.prepared, s)
}

// Text sets a parameter. The text is copied.
func (s *Stmt) Text(parameter int, text string) error {
	p, err := s.lend(parameter, unsafe.Slice(unsafe.StringData(text), len(text)))
	if err != nil {
		return err
	}
	return s.c.failed(lib.Xsqlite3_bind_text(s.c.tls, s.p, int32(parameter), p, int32(len(text)), lib.SQLITE_STATIC))
}

// lend copies bytes to where SQLite may read them: what a Go pointer points to would be no business of the library's.
func (s *Stmt) lend(parameter int, bytes []byte) (uintptr, error) {
	if parameter < 1 || parameter > len(s.texts) || len(bytes) > 1<<30 {
		return 0, &Error{Code: lib.SQLITE_RANGE, Message: "no such parameter, or a text of more than 1 GiB"}
	}
	b := &s.texts[parameter-1]
	if n := max(len(bytes), 1); b.size < n {
		libc.Xfree(s.c.tls, b.p)
		n = max(n+n/4, 128)
		*b = buffer{p: libc.Xmalloc(s.c.tls, types.Size_t(n)), size: n}
		if b.p == 0 {
			b.size = 0
			return 0, &Error{Code: lib.SQLITE_NOMEM, Message: "out of memory"}
		}
	}
	copy(unsafe.Slice(at[byte](b.p), b.size), bytes)
	return b.p, nil
}

// Int sets a parameter.
func (s *Stmt) Int(parameter int, n int64) error {
	return s.c.failed(lib.Xsqlite3_bind_int64(s.c.tls, s.p, int32(parameter), n))
}

// Null sets a parameter.
func (s *Stmt) Null(parameter int) error {
	return s.c.failed(lib.Xsqlite3_bind_null(s.c.tls, s.p, int32(parameter)))
}

// Step runs the statement up to its next row, and reports whether there is one. When ctx ends it is interrupted, and the
// error is that of ctx; one that never ends costs nothing.
func (s *Stmt) Step(ctx context.Context) (more bool, err error) {
	if ctx.Done() == nil {
		s.c.waiting = ctx
		return s.step()
	}
	done := s.c.watch(ctx)
	more, err = s.step()
	return more, done(err)
}

func (s *Stmt) step() (bool, error) {
	rc := lib.Xsqlite3_step(s.c.tls, s.p)
	if rc == lib.SQLITE_ROW {
		return true, nil
	}
	return false, s.c.failed(rc)
}

// Reset makes the statement ready to be run again, and gives what it holds of the database free.
func (s *Stmt) Reset() {
	lib.Xsqlite3_reset(s.c.tls, s.p) // its error is that of the last Step, told before
	for i := range s.texts {
		if b := &s.texts[i]; b.size > keepBuffer {
			lib.Xsqlite3_bind_null(s.c.tls, s.p, int32(i+1))
			libc.Xfree(s.c.tls, b.p)
			*b = buffer{}
		}
	}
}

// Changes gives how many rows the last statement of the connection has changed, those of triggers not counted.
func (s *Stmt) Changes() int64 { return lib.Xsqlite3_changes64(s.c.tls, s.c.db) }

// IsNull reports whether a column is NULL.
func (s *Stmt) IsNull(column int) bool {
	return lib.Xsqlite3_column_type(s.c.tls, s.p, int32(column)) == lib.SQLITE_NULL
}

// ColumnInt gives a column that is an integer; ok is false when it is something else.
func (s *Stmt) ColumnInt(column int) (n int64, ok bool) {
	if lib.Xsqlite3_column_type(s.c.tls, s.p, int32(column)) != lib.SQLITE_INTEGER {
		return 0, false
	}
	return lib.Xsqlite3_column_int64(s.c.tls, s.p, int32(column)), true
}

// ColumnBytes gives the bytes of a column that is text or a blob; nil when there are none. They are SQLite's, and valid
// until the next Step or Reset.
func (s *Stmt) ColumnBytes(column int) []byte {
	p := lib.Xsqlite3_column_blob(s.c.tls, s.p, int32(column))
	n := int(lib.Xsqlite3_column_bytes(s.c.tls, s.p, int32(column)))
	if p == 0 || n == 0 {
		return nil
	}
	return unsafe.Slice(at[byte](p), n)
}

// Exec runs the statement to its end and gives the number of rows that it changed, those of triggers not counted.
// Arguments are nil, int64 or string. When ctx ends it is interrupted, and the error is that of ctx.
func (s *Stmt) Exec(ctx context.Context, args ...any) (int64, error) {
	err := s.Each(ctx, func([]any) (bool, error) { return true, nil }, args...)
	if err != nil {
		return 0, err
	}
	return s.Changes(), nil
}

// Row runs the statement and gives its first row; ok is false when there is none. Values are nil, int64, float64, string or
// []byte (nil if empty). ctx is that of Exec.
func (s *Stmt) Row(ctx context.Context, args ...any) (row []any, ok bool, err error) {
	err = s.Each(ctx, func(r []any) (bool, error) {
		row, ok = r, true
		return false, nil
	}, args...)
	return row, ok, err
}

// Each runs the statement and calls f for every row until it gives false. The row is reused, what is in it is not.
// ctx is that of Exec.
func (s *Stmt) Each(ctx context.Context, f func(row []any) (bool, error), args ...any) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, a := range args {
		if err := s.bind(i+1, a); err != nil {
			return err
		}
	}
	done := s.c.watch(ctx)
	defer func() {
		s.Reset()
		err = done(err)
	}()
	row := make([]any, s.columns)
	for {
		if more, err := s.step(); err != nil || !more {
			return err
		}
		for i := range row {
			row[i] = s.value(i)
		}
		if more, err := f(row); err != nil || !more {
			return err
		}
	}
}

func (s *Stmt) bind(parameter int, value any) error {
	switch v := value.(type) {
	case nil:
		return s.Null(parameter)
	case int64:
		return s.Int(parameter, v)
	case string:
		return s.Text(parameter, v)
	default:
		return &Error{Code: lib.SQLITE_MISMATCH, Message: fmt.Sprintf("an argument of type %T", value)}
	}
}

func (s *Stmt) value(column int) any {
	switch lib.Xsqlite3_column_type(s.c.tls, s.p, int32(column)) {
	case lib.SQLITE_INTEGER:
		return lib.Xsqlite3_column_int64(s.c.tls, s.p, int32(column))
	case lib.SQLITE_FLOAT:
		return lib.Xsqlite3_column_double(s.c.tls, s.p, int32(column))
	case lib.SQLITE_TEXT:
		return string(s.ColumnBytes(column))
	case lib.SQLITE_BLOB:
		return append([]byte(nil), s.ColumnBytes(column)...)
	default:
		return nil
	}
}
