//go:build soak

package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// troubles are what happens to a daemon that lives; restarts end it.
var (
	troubles = []trouble{{"stopped", (*soak).stopped}, {"locked", (*soak).locked}, {"read", (*soak).read}, {"backup", (*soak).backup}, {"clear", (*soak).clear}}
	restarts = []trouble{{"killed", (*soak).killed}, {"killed", (*soak).killed}, {"killed", (*soak).killed}, {"restarted", (*soak).restart}}
)

type trouble struct {
	name string
	make func(*soak, *testing.T)
}

// trouble makes one after another, at random.
func (s *soak) trouble(t *testing.T, d time.Duration, list []trouble) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		one := list[s.random.IntN(len(list))]
		one.make(s, t)
		s.troubled[one.name]++
		<-time.After(time.Duration(s.random.Int64N(int64(time.Second))))
	}
}

// aMoment is how long a trouble lasts.
func (s *soak) aMoment() <-chan time.Time {
	return time.After(time.Duration(s.random.Int64N(int64(time.Second))))
}

func (s *soak) killed(t *testing.T) {
	s.Kill()
	s.Daemon = harness.Start(t, s.db, s.args...)
}

func (s *soak) restart(t *testing.T) {
	s.Stop(t)
	s.Daemon = harness.Start(t, s.db, s.args...)
}

func (s *soak) stopped(t *testing.T) {
	s.Signal(t, syscall.SIGSTOP)
	<-s.aMoment()
	s.Signal(t, syscall.SIGCONT)
}

func (s *soak) outside(t *testing.T, args ...string) *harness.Process {
	t.Helper()
	return harness.Spawn(t, harness.Command{Path: harness.Build(t, harness.Outsider), Args: args})
}

func (s *soak) locked(t *testing.T) { s.beside(t, "hold", "held") }
func (s *soak) read(t *testing.T)   { s.beside(t, "read", "reading") }

// beside has another process hold something for a moment.
func (s *soak) beside(t *testing.T, command, begun string) {
	p := s.outside(t, command, s.db)
	p.Line(t, begun)
	<-s.aMoment()
	p.CloseInput()
	if code := p.Wait(t); code != 0 {
		t.Errorf("outsider %s: %s", command, p.Output())
	}
}

func (s *soak) backup(t *testing.T) {
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.db")
	if r := harness.CLI(t, "backup", copied, "--db", s.db); r.Code != 0 {
		t.Errorf("backup: exit code %d: %s", r.Code, r.Stderr)
	}
	harness.MustCheck(t, copied)
	_ = os.RemoveAll(dir) // space; the test does it otherwise
}

// clear removes everything while nobody else is in the middle of anything.
func (s *soak) clear(t *testing.T) {
	if s.random.IntN(4) > 0 {
		return
	}
	s.idle.Lock()
	defer s.idle.Unlock()
	ctx, cancel := within()
	defer cancel()
	reply, err := s.workers[0].client.Clear(ctx)
	s.outcomes.add("clear", err)
	if protocol.CodeOf(err) == protocol.CodeUnavailable {
		return
	}
	if err != nil {
		t.Errorf("clear: %v", err) // the daemon lives
		return
	}
	if reply.Count > 0 {
		s.revisions.note(t, reply.Revision, "the clear")
	}
	for _, w := range s.workers {
		for _, a := range w.agents {
			a.known, a.late = version{}, nil
		}
	}
	clear(s.outsider.last)
	s.outsider.increments = 0
}

// outsider is the model of what another process writes by plain SQL.
type outsider struct {
	last       map[string]int
	increments int
}

// writeOutside has another process write for a while, again and again.
func (s *soak) writeOutside(t *testing.T) {
	t.Helper()
	for !s.ended() && !t.Failed() {
		s.writeOnceOutside(t)
		select {
		case <-s.done:
		case <-time.After(time.Second):
		}
	}
}

func (s *soak) writeOnceOutside(t *testing.T) {
	t.Helper()
	s.idle.RLock()
	defer s.idle.RUnlock()
	p := s.outside(t, "save", s.db, "outside", "60")
	var r struct {
		Locked, Increments int
		Errors             []string
		Last               map[string]int
	}
	code := p.Wait(t)
	err := json.Unmarshal([]byte(p.Line(t, "{")), &r)
	if code != 0 || err != nil || r.Locked > 0 || len(r.Errors) > 0 {
		t.Errorf("the outsider: exit code %d, %v, %d times \"locked\", %q", code, err, r.Locked, r.Errors)
	}
	maps.Copy(s.outsider.last, r.Last)
	s.outsider.increments += r.Increments
}

// verify looks at every agent once more, and for agents that should not be there.
func (s *soak) verify(t *testing.T) {
	t.Helper()
	c := s.connect(t)
	ctx := harness.Guarded(t)
	want := len(s.outsider.last)
	for _, w := range s.workers {
		for _, a := range w.agents {
			w.find(t, a)
			if a.known.seq > 0 {
				want++
			}
		}
	}
	for id, seq := range s.outsider.last {
		reply, err := c.Load(ctx, id)
		if string(reply.State) != fmt.Sprintf(`{"seq": %d}`, seq) {
			t.Errorf("%s holds %q, %v; its writer saved %d last", id, reply.State, err, seq)
		}
	}
	counters, err := c.List(ctx, "counter-", "", 0)
	if err != nil {
		t.Error(err)
	}
	sum := 0
	for _, e := range counters.Entries {
		reply, err := c.Load(ctx, e.ID)
		n, err2 := strconv.Atoi(string(reply.State))
		if err != nil || err2 != nil {
			t.Errorf("%s: %v, %v", e.ID, err, err2)
		}
		sum += n
	}
	if sum != s.outsider.increments {
		t.Errorf("the counters add up to %d after %d increments", sum, s.outsider.increments)
	}
	if n, err := c.Count(ctx, ""); err != nil || n != int64(want+len(counters.Entries)) {
		t.Errorf("%d agents are there, %v; want %d", n, err, want+len(counters.Entries))
	}
	t.Logf("%d agents hold what they should", want+len(counters.Entries))
}

// dial opens a connection that will break.
func (s *soak) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(s.args[1], "unix:"))
}
