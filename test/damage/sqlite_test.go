package damage

import (
	"database/sql"
	"net/url"
	"testing"
)

// This file is plain SQLite, for files that nobody has open.

func plain(tb testing.TB, db string) *sql.DB {
	tb.Helper()
	s, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: db}).String())
	if err != nil {
		tb.Fatal(err)
	}
	s.SetMaxOpenConns(1)
	return s
}

func execute(tb testing.TB, db string, statements ...string) {
	tb.Helper()
	s := plain(tb, db)
	defer s.Close()
	for _, statement := range statements {
		if _, err := s.ExecContext(guarded(tb), statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}

func integrity(tb testing.TB, db string) (said string) {
	tb.Helper()
	s := plain(tb, db)
	defer s.Close()
	if err := s.QueryRowContext(guarded(tb), "PRAGMA integrity_check").Scan(&said); err != nil {
		return err.Error()
	}
	return said
}
