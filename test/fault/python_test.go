//go:build system

package fault

import (
	"database/sql"
	"os"
	"testing"
)

// makePython makes the file of the Python project, by its own statements.
func makePython(t *testing.T, db string) {
	t.Helper()
	script, err := os.ReadFile("../../store/testdata/python.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sql.Open("sqlite", db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ExecContext(t.Context(), string(script)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// pythonHolds is what is in it.
var pythonHolds = map[string]string{
	"alice": `{"turn": 1, "mood": "calm"}`,
	"bob":   `{"turn": 2, "notes": ["caf\u00e9", "it's"]}`,
	"zoë ☕": `{"score": NaN}`,
}
