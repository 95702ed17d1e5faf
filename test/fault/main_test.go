//go:build system

package fault

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(childFile); file != "" {
		os.Exit(child(file))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}

// guarded gives a context that is a guard against hanging.
func guarded(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

// strace is one run of a program under it. The program is the caller's own child, and strace its grandchild (-D), so that
// what becomes of the one is not hidden by the other.
type strace struct {
	env  []string
	args []string
}

// under gives the command line in front of a program, which writes its trace to out.
func under(out string, args ...string) []string {
	return append([]string{"strace", "-D", "-f", "-yy", "-xx", "-s", "100000000", "-o", out}, args...)
}

// fast has strace stop the program at the calls that it is to look at alone. Signals cannot be injected then.
const fast = "--seccomp-bpf"

// run runs the test binary as a child on the file, and gives the lines that it printed and the trace.
func (s strace) run(tb testing.TB, file string) ([]string, *Trace) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	out := filepath.Join(tb.TempDir(), "trace")
	r := harness.Run(tb, harness.Command{
		Path: self, Env: append([]string{childFile + "=" + file}, s.env...), Under: under(out, s.args...),
	})
	trace := readTrace(tb, out)
	lines := strings.Split(strings.TrimSuffix(r.Stdout, "\n"), "\n")
	last := lines[len(lines)-1]
	if r.Stderr != "" || last == "hung" || strings.HasPrefix(last, "failed") || last != "done" && !trace.Killed {
		tb.Fatalf("strace %q: exit code %d\n%s\n%s", s.args, r.Code, r.Stdout, r.Stderr)
	}
	return lines, trace
}

func readTrace(tb testing.TB, out string) *Trace {
	tb.Helper()
	content, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	trace, err := ParseTrace(bytes.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	return trace
}

// hearAll tells a belief all that was said.
func hearAll(tb testing.TB, b *belief, lines []string) {
	tb.Helper()
	for _, line := range lines {
		if err := b.hear(line); err != nil {
			tb.Errorf("%q: %v", line, err)
		}
	}
}

// point is a call to break: the nth of its kind on one file, on any one thread.
type point struct {
	call, file string // the file by what its name adds to the database's; "/" is the folder
	phase      phase
	n          int
}

// phase is what a program does at a point.
type phase string

const (
	opening  phase = "opening"
	changing phase = "changing"
	tidying  phase = "tidying" // another program's checkpoint, or closing
)

func (p point) String() string { return fmt.Sprintf("%s %s %d (%s)", p.call, p.file, p.n, p.phase) }

// broken are the calls that change files, and make changes durable.
const broken = "pwrite64,fdatasync,fsync,ftruncate,unlink,unlinkat"

// path gives the path of the file of a point.
func (p point) path(db string) string {
	if p.file == "/" {
		return filepath.Dir(db)
	}
	return db + p.file
}

// inject gives the arguments that have strace do something at the point, and at the calls of its kind that follow.
func (p point) inject(db, what string, calls int) []string {
	return []string{
		"-P", p.path(db), "-e", "trace=" + broken, "-e", fmt.Sprintf("inject=%s:%s:when=%d..%d", p.call, what, p.n, p.n+calls-1),
	}
}
