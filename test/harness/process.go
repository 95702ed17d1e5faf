package harness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience is how long the harness waits for something that should happen soon. It is only a guard against hanging.
const Patience = time.Minute

// Command is one run of a program.
type Command struct {
	Path  string   // the executable; by default stated
	Under []string // a program, with its arguments, that runs this one; as strace -D does
	Args  []string
	Stdin io.Reader
	Env   []string // on top of the test's own environment, out of which STATED_ is taken, but for those of Settings
	Dir   string   // by default an empty folder
	// Nobody runs it without root's rights, if the test has them. Folders have to be opened for it with Open.
	Nobody bool
}

// nobody is a user that owns no file.
const nobody = 65534

// Open lets everybody into a folder that a test made, or its parent: those are made for their owner alone.
func Open(tb testing.TB, dir string) {
	tb.Helper()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o777); err != nil { //nolint:gosec // it lasts as long as the test
			tb.Fatal(err)
		}
	}
}

func (c Command) prepare(tb testing.TB) *exec.Cmd {
	tb.Helper()
	if c.Path == "" {
		c.Path = Build(tb, Stated)
	}
	if c.Dir == "" {
		c.Dir = tb.TempDir()
	}
	words := slices.Concat(c.Under, []string{c.Path}, c.Args)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Dir, cmd.SysProcAttr = c.Stdin, c.Dir, childAttr()
	if c.Nobody && os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		Open(tb, c.Dir)
	}
	for _, entry := range os.Environ() {
		if passed(entry) {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	// A program that was built to detect races would sleep for a second before it ends
	// (https://go.dev/doc/articles/race_detector#Options).
	cmd.Env = append(append(cmd.Env, "GORACE=atexit_sleep_ms=0"), c.Env...)
	return cmd
}

// Result is what a command that has ended left.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command to its end.
func Run(tb testing.TB, c Command) Result {
	tb.Helper()
	cmd := c.prepare(tb)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	guard := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("%s: %v", cmd, err)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// CLI runs stated with these arguments.
func CLI(tb testing.TB, args ...string) Result {
	tb.Helper()
	return Run(tb, Command{Args: args})
}

// Process is a program that runs beside the test. It is killed at the end of the test.
type Process struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr *output
	gone           chan struct{}
}

// Spawn starts a program. Its standard input stays open until CloseInput.
func Spawn(tb testing.TB, c Command) *Process {
	tb.Helper()
	p := &Process{stdout: newOutput(), stderr: newOutput(), gone: make(chan struct{})}
	p.cmd = c.prepare(tb)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ExitCode tells
		p.stdout.end()
		p.stderr.end()
		close(p.gone)
	}()
	tb.Cleanup(p.Kill)
	return p
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal. A process that is gone already is no error.
func (p *Process) Signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Fatalf("signal %v: %v", s, err)
	}
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.gone
}

// Tell writes a line to the process's standard input.
func (p *Process) Tell(tb testing.TB, line string) {
	tb.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		tb.Fatalf("%s does not listen: %v; it said:\n%s", p.cmd, err, p.Output())
	}
}

// CloseInput ends the process's standard input.
func (p *Process) CloseInput() { _ = p.stdin.Close() }

// Gone is closed when the process has ended and all of its output is there.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Wait waits for the process to end by itself and gives its exit code.
func (p *Process) Wait(tb testing.TB) int {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	defer cancel()
	select {
	case <-p.gone:
	case <-ctx.Done():
		p.Kill()
		tb.Fatalf("%s did not end; it said:\n%s", p.cmd, p.Output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Line waits for a line on standard output that starts with prefix, and gives it.
func (p *Process) Line(tb testing.TB, prefix string) string {
	tb.Helper()
	line, ok := p.stdout.await(0, Patience, func(s string) bool { return strings.HasPrefix(s, prefix) })
	if !ok {
		tb.Fatalf("%s printed no line %q; it said:\n%s", p.cmd, prefix, p.Output())
	}
	return line
}

// WaitLines waits until n lines are on standard output.
func (p *Process) WaitLines(tb testing.TB, n int) {
	tb.Helper()
	if _, ok := p.stdout.await(n-1, Patience, func(string) bool { return true }); !ok {
		tb.Fatalf("%s printed fewer than %d lines; it said:\n%s", p.cmd, n, p.Output())
	}
}

// Lines gives the complete lines on standard output so far.
func (p *Process) Lines() []string { return p.stdout.all() }

// Log waits for a line of the log, on standard error, that matches.
func (p *Process) Log(tb testing.TB, match func(Entry) bool) Entry {
	tb.Helper()
	line, ok := p.stderr.await(0, Patience, func(s string) bool { e := parseEntry(s); return e != nil && match(e) })
	if !ok {
		tb.Fatalf("%s did not log what was expected; it said:\n%s", p.cmd, p.Output())
	}
	return parseEntry(line)
}

// Logs gives the lines of the log so far that match.
func (p *Process) Logs(match func(Entry) bool) []Entry {
	var list []Entry
	for _, line := range p.stderr.all() {
		if e := parseEntry(line); e != nil && match(e) {
			list = append(list, e)
		}
	}
	return list
}

// All is everything the process has written, without lines that are not complete.
func (p *Process) All() string { return strings.Join(append(p.stdout.all(), p.stderr.all()...), "\n") }

// Output is All for messages: of much only the end.
func (p *Process) Output() string {
	all := p.All()
	const most = 8 << 10
	if len(all) > most {
		all = "...\n" + all[len(all)-most:]
	}
	return all
}
