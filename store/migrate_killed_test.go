package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/store"
)

// childMigrates is this test binary as a program of version 2 that is killed before statement number kill of its
// migration; after the last one the kill comes before COMMIT.
func childMigrates(path string, kill int) int {
	store.AddMigration(func(n int) {
		if n == kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}, nextVersion...)
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := s.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// migrateInChild opens the file as a program of version 2 that is killed at a statement, or after some time.
func migrateInChild(t *testing.T, path string, kill int, after time.Duration) (killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "STATED_TEST_MIGRATE="+path, fmt.Sprint("STATED_TEST_KILL=", kill))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		defer time.AfterFunc(after, func() { _ = cmd.Process.Kill() }).Stop()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.ExitCode() == -1:
		return true
	}
	t.Fatalf("the child says %s: %v", out.String(), err)
	return false
}

// TestMigrate_Killed: kill -9 at any statement leaves the old version whole; the next open migrates.
func TestMigrate_Killed(t *testing.T) {
	for name, old := range oldFiles {
		t.Run(name, func(t *testing.T) {
			path := old.make(t)
			version := mustVersion(t, path, old.rows)
			for kill := range len(nextVersion) + 1 {
				if !migrateInChild(t, path, kill, 0) {
					t.Fatalf("not killed before statement %d", kill)
				}
				if n := mustVersion(t, path, old.rows); n != version {
					t.Errorf("killed before statement %d: schema version %d, was %d", kill, n, version)
				}
			}
			if migrateInChild(t, path, -1, 0) {
				t.Fatal("killed")
			}
			if n := mustVersion(t, path, old.rows); n != 2 {
				t.Errorf("schema version %d", n)
			}
			t.Cleanup(store.AddMigration(func(int) {}, nextVersion...))
			goesOn(t, path, old.agents(), old.counter, old.rows)
		})
	}
}

// TestMigrate_KilledAtRandom: the same at any moment, of a migration that rewrites many rows.
func TestMigrate_KilledAtRandom(t *testing.T) {
	const agents, most = 20000, 12
	fill := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO agent_state (agent_id, state_json) SELECT 'agent' || i, '{"n":' || i || '}' FROM n`, agents)
	for name, old := range oldFiles {
		t.Run(name, func(t *testing.T) {
			template := old.make(t)
			mustMake(t, template, fill)
			rows := old.rows + agents
			version := mustVersion(t, template, rows)
			content := must(os.ReadFile(template))
			dir, outcomes := t.TempDir(), map[int64]int{}
			try := func(n int, after time.Duration) (killed bool, took time.Duration) {
				path := filepath.Join(dir, fmt.Sprint(n))
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				killed = migrateInChild(t, path, -1, after)
				took = time.Since(begun)
				is := mustVersion(t, path, rows)
				if is != 2 && (is != version || !killed) {
					t.Errorf("after %v: schema version %d, was %d; killed: %v", after, is, version, killed)
				}
				outcomes[is]++
				return killed, took
			}
			_, whole := try(0, 0)
			for n := range most {
				try(n+1, whole*time.Duration(n+1)/most)
			}
			t.Logf("a migration of %v, killed at %d moments: schema versions %v", whole.Round(time.Millisecond), most, outcomes)
		})
	}
}
