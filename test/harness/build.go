// Package harness runs the real program for the end-to-end tests: it builds it, starts and stops daemons, keeps
// what they print, and runs single commands.
//
// What may go in: processes and their output, and counts of outcomes. What may not: anything that knows what the right
// answer to a request is.
package harness

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"
)

// The programs of this module that tests run.
const (
	Stated   = "github.com/stated/stated/cmd/stated"
	Outsider = "github.com/stated/stated/test/outsider"
)

var builds struct {
	mu    sync.Mutex
	dir   string
	files map[string]func() (string, error)
}

// Build compiles the program of a package once for each test binary, and gives the executable.
func Build(tb testing.TB, pkg string) string {
	tb.Helper()
	builds.mu.Lock()
	if builds.files == nil {
		dir, err := os.MkdirTemp("", "stated-test-")
		if err != nil {
			builds.mu.Unlock()
			tb.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // some tests run it as another user
			builds.mu.Unlock()
			tb.Fatal(err)
		}
		builds.dir, builds.files = dir, map[string]func() (string, error){}
	}
	build, ok := builds.files[pkg]
	if !ok {
		build = sync.OnceValues(func() (string, error) { return compile(builds.dir, pkg) })
		builds.files[pkg] = build
	}
	builds.mu.Unlock()
	file, err := build()
	if err != nil {
		tb.Fatalf("go build %s: %v", pkg, err)
	}
	return file
}

func compile(dir, pkg string) (string, error) {
	file := filepath.Join(dir, path.Base(pkg))
	args := []string{"build", "-o", file}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return file, cmd.Run()
}

// Cleanup removes what Build made. It is called at the end of TestMain.
func Cleanup() {
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir) // a leftover of a test is no failure
	}
}
