package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMaintain_Interrupted: whoever stops one of the commands that can take long is told so, and nothing has changed.
func TestMaintain_Interrupted(t *testing.T) {
	dir := t.TempDir()
	db, copied := filepath.Join(dir, "agents.db"), filepath.Join(dir, "copy.db")
	command := func(ctx context.Context, args ...string) (code int, said string) {
		var out, err bytes.Buffer
		code = run(ctx, append(args, "--db", db), streams{strings.NewReader("1"), &out, &err}, nil)
		return code, out.String() + err.String()
	}
	for _, args := range [][]string{{"save", "a"}, {"backup", copied}} {
		if code, said := command(t.Context(), args...); code != exitDone {
			t.Fatalf("%v: %d, %s", args, code, said)
		}
	}
	before, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{{"check"}, {"check", "--deep"}, {"backup", copied + "-too"}, {"restore", copied}} {
		if code, said := command(stopped, args...); code != exitFailed || said != "stated: interrupted\n" {
			t.Errorf("%v: exit code %d, %q", args, code, said)
		}
	}
	if after, err := os.ReadFile(db); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file was changed, %v", err)
	}
	if left, err := filepath.Glob(copied + "-too*"); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
