//go:build system

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// These tests need strace, python3 and sqlite3. With the tag they fail where something is missing.

// TestRestore_OpenInPython is TestRestore_OpenElsewhere with Python's sqlite3.
func TestRestore_OpenInPython(t *testing.T) {
	const script = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT count(*) FROM agent_state").fetchone()
print("opened", flush=True)
sys.stdin.read()
db.close()`
	openElsewhere(t, func(db string) *harness.Process {
		p := harness.Spawn(t, harness.Command{Path: pythonItself(t), Args: []string{"-c", script, db}})
		p.Line(t, "opened")
		return p
	})
}

// pythonItself gives the interpreter: what lies in the path may be a script that starts it as another process.
func pythonItself(t *testing.T) string {
	t.Helper()
	r := harness.Run(t, harness.Command{Path: tool(t, "python3"), Args: []string{"-c", "import sys; print(sys.executable)"}})
	return strings.TrimSpace(r.Stdout)
}

// TestRestore_OpenInShell is the same with SQLite's shell.
func TestRestore_OpenInShell(t *testing.T) {
	shell := tool(t, "sqlite3")
	openElsewhere(t, func(db string) *harness.Process {
		p := harness.Spawn(t, harness.Command{Path: shell, Args: []string{"-cmd", "SELECT 'opened', count(*) FROM agent_state", db}})
		p.Line(t, "opened")
		return p
	})
}

// TestRestore_KilledAtSyscall kills the command at the 1st, 2nd, … of the system calls that change names and sizes or
// reach the disk, over a file that a crash left with a log. strace counts those of each thread by itself, so most kills
// come before the rename; what comes behind it is in the store's TestRestore_Killed, which stops after each step.
func TestRestore_KilledAtSyscall(t *testing.T) {
	strace, stated := tool(t, "strace"), harness.Build(t, harness.Stated)
	src, old := filepath.Join(t.TempDir(), "src.db"), filepath.Join(t.TempDir(), "old.db")
	mustMakeAgents(t, src, "new", 30)
	mustMakeAgents(t, old, "old", 20)
	d := harness.Start(t, old)
	if _, err := d.Client(t, resp.ClientOptions{}).Save(guarded(t), "in the log", []byte("1")); err != nil {
		t.Fatal(err)
	}
	d.Kill()
	db := filepath.Join(t.TempDir(), "agents.db")
	const calls = "fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2,pwrite64"
	outcomes := map[float64]int{}
	for n, killed := 1, true; killed; n++ {
		copyFile(t, old, db)
		copyFile(t, old+"-wal", db+"-wal")
		r := harness.Run(t, harness.Command{Path: strace, Env: []string{"GOMAXPROCS=1"}, Args: []string{
			"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n),
			stated, "restore", src, "--db", db}})
		killed = r.Code != 0
		on := cli{t, []string{"--db", db}}
		got, _ := one(t, on.objects("", "check", "--deep"))["agents"].(float64)
		if got != 21 && got != 30 || !killed && got != 30 {
			t.Errorf("killed at call %d: %v agents; %+v", n, got, r)
		}
		if killed {
			outcomes[got]++
		}
		if again := one(t, on.objects("", "restore", src)); again["agents"] != 30.0 {
			t.Errorf("again, after call %d: %v", n, again)
		}
	}
	harness.MustCheck(t, db)
	t.Logf("killed at each call: agents %v", outcomes)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
