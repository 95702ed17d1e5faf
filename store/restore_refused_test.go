package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

func TestRestore_Refuses(t *testing.T) {
	src := tempDB(t)
	mustFill(t, src, "a")
	damaged := tempDB(t)
	mustFill(t, damaged, "needle")
	content := must(os.ReadFile(damaged))
	content[indexOf(t, content, "state of needle")] ^= 1
	write := func(path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(damaged, content)
	text := filepath.Join(t.TempDir(), "text")
	write(text, []byte(strings.Repeat("a letter\n", 1000)))
	foreign := tempDB(t)
	mustMake(t, foreign, "CREATE TABLE songs (name)")
	later := tempDB(t) // a foreign one where a store was
	mustFill(t, later, "a")
	if err := os.Remove(later); err != nil {
		t.Fatal(err)
	}
	mustMake(t, later, "CREATE TABLE songs (name)")
	linked := tempDB(t)
	mustFill(t, linked, "a")
	if err := os.Link(linked, linked+"-too"); err != nil {
		t.Fatal(err)
	}
	toFile, toNothing := filepath.Join(t.TempDir(), "l"), filepath.Join(t.TempDir(), "l")
	if err := errors.Join(os.Symlink(src, toFile), os.Symlink("/nowhere", toNothing)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		src, path string
		code      protocol.Code
		says      string
	}{
		"missing source":           {"/nowhere.db", "", protocol.CodeInvalid, "/nowhere.db"},
		"empty source":             {"", "", protocol.CodeInvalid, "empty"},
		"source is a folder":       {t.TempDir(), "", protocol.CodeInvalid, "not a regular file"},
		"source is a text":         {text, "", protocol.CodeInvalid, "not a SQLite database"},
		"source is foreign":        {foreign, "", protocol.CodeInvalid, "no agent_state"},
		"source has two names":     {linked, "", protocol.CodeInvalid, "more than one name"},
		"source is damaged":        {damaged, "", protocol.CodeCorrupt, "does not fit its checksum"},
		"the file itself":          {src, src, protocol.CodeInvalid, "the file itself"},
		"the file itself, linked":  {toFile, src, protocol.CodeInvalid, "the file itself"},
		"over itself, linked":      {src, toFile, protocol.CodeInvalid, "the file itself"},
		"over a dangling link":     {src, toNothing, protocol.CodeInvalid, "symbolic link to nothing"},
		"over a folder":            {src, t.TempDir(), protocol.CodeInvalid, "not a regular file"},
		"into no folder":           {src, "/nowhere/agents.db", protocol.CodeInvalid, "the folder /nowhere does not exist"},
		"over a text":              {src, text, protocol.CodeInvalid, "not a SQLite database"},
		"over a foreign database":  {src, foreign, protocol.CodeInvalid, "no agent_state"},
		"over one that came later": {src, later, protocol.CodeInvalid, "no agent_state"},
		"over a hard link":         {src, linked, protocol.CodeInvalid, "more than one name"},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.path
			if path == "" {
				path = tempDB(t)
				mustFill(t, path, "old")
			}
			before := map[string][32]byte{}
			for _, p := range []string{path, c.src} {
				if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
					before[p] = mustHash(t, p)
				}
			}
			_, err := store.Restore(t.Context(), c.src, path, impatient())
			wantCode(t, err, c.code)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			for p, was := range before {
				if mustHash(t, p) != was {
					t.Errorf("%s was changed", p)
				}
			}
			left, err := filepath.Glob(path + ".restoring*")
			if err != nil || len(left) > 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

// TestRestore_InUse: nothing is put in the place of a file that somebody has open, whoever it is.
func TestRestore_InUse(t *testing.T) {
	src := tempDB(t)
	mustFill(t, src, "a")
	refused := func(t *testing.T, path, says string) {
		t.Helper()
		before := mustHash(t, path)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that goes through waits for whoever has it open
		defer cancel()
		_, err := store.Restore(ctx, src, path, impatient())
		wantCode(t, err, protocol.CodeUnavailable)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
		if mustHash(t, path) != before {
			t.Error("the file was changed")
		}
		if got := idsIn(t, path); strings.HasPrefix(got, "a ") || got == "a" {
			t.Errorf("agents %s", got)
		}
	}
	t.Run("a store", func(t *testing.T) {
		path := tempDB(t)
		s := mustOpen(t, path, impatient())
		mustApply(t, s, save("x", "1"))
		refused(t, path, fmt.Sprintf("in use by process %d", os.Getpid()))
		mustApply(t, s, save("x", "2"))
	})
	t.Run("a connection of this process", func(t *testing.T) {
		path := tempDB(t)
		mustFill(t, path, "x")
		outside := mustOutsider(t, path)
		mustQuery[int](t, outside, "SELECT count(*) FROM agent_state")
		refused(t, path, "is open in another program")
		mustExec(t, outside, pySave, "x", "2")
	})
	t.Run("another process", func(t *testing.T) {
		path := tempDB(t)
		mustFill(t, path, "x")
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "STATED_TEST_READ="+path)
		in, out := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 100)); err != nil { // it has read
			t.Fatal(err)
		}
		refused(t, path, "is open in another program")
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Fatal(err)
		}
		mustRestore(t, src, path)
	})
}

// TestRestore_CreatedMeanwhile: a file that somebody makes during a restore to where nothing was is not replaced.
func TestRestore_CreatedMeanwhile(t *testing.T) {
	src, path := tempDB(t), tempDB(t)
	mustFill(t, src, "a")
	made := pythonFile(t)
	o := impatient()
	o.Progress = func(s store.Step) {
		if _, err := os.Stat(path); s.Name == "rows" && err != nil {
			mustMake(t, path, string(must(os.ReadFile("testdata/python.sql"))))
		}
	}
	_, err := store.Restore(t.Context(), src, path, o)
	wantCode(t, err, protocol.CodeUnavailable)
	if got, want := mustHash(t, path), mustHash(t, made); got != want {
		t.Error("it was changed")
	}
}
