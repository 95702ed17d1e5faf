//go:build system

// Package locks shows what becomes of the promises when other processes hold, fight for, or undermine the locks of the
// file. It needs Linux, python3 with its sqlite3, and the program sqlite3; it fails where one is missing.
package locks

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	if os.Getenv(openerChild) != "" {
		opener()
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}

// outside runs test/outsider, which has the SQLite that stated has.
func outside(tb testing.TB, args ...string) *harness.Process {
	tb.Helper()
	return harness.Spawn(tb, harness.Command{Path: harness.Build(tb, harness.Outsider), Args: args})
}

// python runs neighbour.py.
func python(tb testing.TB, args ...string) *harness.Process {
	tb.Helper()
	script, err := filepath.Abs("neighbour.py")
	if err != nil {
		tb.Fatal(err)
	}
	return harness.Spawn(tb, harness.Command{Path: tool(tb, "python3"), Args: append([]string{script}, args...)})
}

func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// report waits for a process to end well, and reads the line of JSON that it tells at its end.
func report[T any](tb testing.TB, p *harness.Process) (r T) {
	tb.Helper()
	if code := p.Wait(tb); code != 0 {
		tb.Fatalf("it ended with %d: %s", code, p.Output())
	}
	if err := json.Unmarshal([]byte(p.Line(tb, "{")), &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// sql asks the file with the program sqlite3, which knows nothing of stated.
func sql(tb testing.TB, db, query string) string {
	tb.Helper()
	r := harness.Run(tb, harness.Command{Path: tool(tb, "sqlite3"), Args: []string{"-cmd", ".timeout 5000", db, query}})
	if r.Code != 0 {
		tb.Fatalf("sqlite3 %s: %s", query, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

func sqlNumber(tb testing.TB, db, query string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(sql(tb, db, query), 10, 64)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// library opens a file as a program does that links the actor. It is closed by the function, or at the end of the test.
func library(tb testing.TB, db string, so store.Options, ao actor.Options) (a *actor.Actor, s *store.Store, closeIt func()) {
	tb.Helper()
	s, err := store.Open(harness.Guarded(tb), db, harness.Settings(so))
	if err != nil {
		tb.Fatal(err)
	}
	a = actor.New(s, ao)
	closed := false
	closeIt = func() {
		if closed {
			return
		}
		closed = true
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			tb.Errorf("close the actor: %v", err)
		}
		if err := s.Close(); err != nil {
			tb.Errorf("close the store: %v", err)
		}
	}
	tb.Cleanup(closeIt)
	return a, s, closeIt
}

// service is a way to the agents: through a daemon, or in this process. stop lets nobody use the file any more.
type service struct {
	protocol.Methods                  // for any number of callers
	reads            protocol.Methods // for one who does not want to wait behind them
	stop             func()
	waiting          func() int64 // requests in the mailbox
}

// ways opens files both ways. The settings have to say the same.
type ways struct {
	args  []string
	store store.Options
	actor actor.Options
}

// each runs a test through the daemon and in-process, on a file of its own.
func (w ways) each(t *testing.T, test func(t *testing.T, db string, s service)) {
	t.Helper()
	w.daemon(t, test)
	t.Run("library", func(t *testing.T) {
		db := harness.File(t)
		a, _, stop := library(t, db, w.store, w.actor)
		test(t, db, service{a.Methods, a.Methods, stop, func() int64 { return int64(a.Info().Waiting) }})
	})
}

// daemon runs it through the daemon alone.
func (w ways) daemon(t *testing.T, test func(t *testing.T, db string, s service)) {
	t.Helper()
	t.Run("daemon", func(t *testing.T) {
		db := harness.File(t)
		d := harness.Start(t, db, w.args...)
		many, one := d.Client(t, resp.ClientOptions{Connections: 64}), d.Client(t, resp.ClientOptions{})
		test(t, db, service{many.Methods, one.Methods, func() { d.Stop(t) }, func() int64 { return d.Info(t).Number(t, "mailbox_depth") }})
	})
}

// openerChild names the variable that makes the test binary another program that links the library.
const openerChild = "STATED_TEST_OPENER"

// opened is what the other program tells of a file.
type opened struct {
	Owner    bool   `json:"owner"` // it has opened the file, and written into it
	Revision int64  `json:"revision"`
	Code     string `json:"code"`
	Pid      string `json:"pid"` // of the owner, when it was refused
	Message  string `json:"message"`
}

// opener opens each file that standard input names, saves an agent, and closes the file at the next line.
func opener() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		o := opened{}
		s, err := store.Open(context.Background(), lines.Text(), harness.Settings(store.Options{}))
		if err == nil {
			var reply protocol.Reply
			a := actor.New(s, actor.Options{})
			reply, err = protocol.Methods{Handler: a}.Save(context.Background(), fmt.Sprintf("opener-%d", os.Getpid()), []byte("{}"))
			o.Owner, o.Revision = err == nil, reply.Revision
			printJSON(o, err)
			lines.Scan()
			_ = a.Close(context.Background()) // it has nothing to do
			if err := s.Close(); err != nil {
				fmt.Println(err)
			}
			fmt.Println("closed")
			continue
		}
		printJSON(o, err)
	}
}

func printJSON(o opened, err error) {
	if err != nil {
		e := protocol.AsError(err)
		o.Code, o.Message = string(e.Code), e.Message
		o.Pid, _ = e.Fact(protocol.FactOwner)
	}
	_ = json.NewEncoder(os.Stdout).Encode(o) // whoever reads it is the test
}
