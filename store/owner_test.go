package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// childMain is this test binary as another process: it opens a store, says how that went, and keeps the store open
// until its standard input ends.
func childMain(path string) int {
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	_, _ = fmt.Scanln()
	if err := s.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// childReads is this test binary as a program without stated: it reads the file, says so, and keeps it open until its
// standard input ends.
func childReads(path string) int {
	db, err := sql.Open("sqlite", path)
	if err == nil {
		var n int
		err = db.QueryRow("SELECT count(*) FROM agent_state").Scan(&n)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("read")
	_, _ = fmt.Scanln()
	if err := db.Close(); err != nil {
		return 1
	}
	return 0
}

func child(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "STATED_TEST_OPEN="+path)
	return cmd
}

func wantOwned(t *testing.T, err error, pid int) {
	t.Helper()
	wantCode(t, err, protocol.CodeUnavailable)
	if err == nil {
		return
	}
	if got, _ := protocol.AsError(err).Fact(protocol.FactOwner); got != strconv.Itoa(pid) {
		t.Errorf("owner_pid=%s, want %d: %v", got, pid, err)
	}
}

func TestOpen_SecondOwnerIsRefused(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := store.Open(t.Context(), name, impatient())
		wantOwned(t, err, os.Getpid())
	}
	out, err := child(t, link).Output()
	if err == nil || !strings.Contains(string(out), "owner_pid="+strconv.Itoa(os.Getpid())) {
		t.Errorf("another process: %v, %s", err, out)
	}
	// The refused ones have not taken the lock away.
	_, err = store.Open(t.Context(), path, impatient())
	wantOwned(t, err, os.Getpid())
	if _, err := os.Stat(link + ".owner"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link got an owner file of its own: %v", err)
	}
	mustApply(t, s, save("a", "2"))
}

func TestOpen_LockEndsWithItsOwner(t *testing.T) {
	path := tempDB(t)
	for range 3 {
		s, err := store.Open(t.Context(), path, impatient())
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
	}
	// The text is for people: nothing but the lock counts.
	for _, text := range []string{"1 2020-01-01T00:00:00Z\n", "", "\x00\xff nonsense", strings.Repeat("9", 4000)} {
		if err := os.WriteFile(path+".owner", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), path, impatient())
		if err != nil {
			t.Fatalf("with %.20q in it: %v", text, err)
		}
		_, err = store.Open(t.Context(), path, impatient())
		wantOwned(t, err, os.Getpid())
		mustClose(t, s)
	}
	mustBeSound(t, path)
}

func TestOpen_LockOfAnotherProcess(t *testing.T) {
	path := tempDB(t)
	cmd := child(t, path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := out.Read(line); err != nil || string(line[:4]) != "open" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	_, err = store.Open(t.Context(), path, impatient())
	wantOwned(t, err, cmd.Process.Pid)
	// Text that is no process id is not passed on.
	if err := os.WriteFile(path+".owner", []byte("rm -rf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), path, impatient())
	wantCode(t, err, protocol.CodeUnavailable)
	if _, ok := protocol.AsError(err).Fact(protocol.FactOwner); ok {
		t.Errorf("a process id was made up: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, impatient())
}
