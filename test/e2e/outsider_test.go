package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

const (
	outsiders       = 4
	outsiderWrites  = 400 // of each
	counterAgents   = 5   // agents that everyone increments
	besideOutsiders = 64  // savers through stated
)

// outside runs test/outsider.
func outside(tb testing.TB, args ...string) *harness.Process {
	tb.Helper()
	return harness.Spawn(tb, harness.Command{Path: harness.Build(tb, harness.Outsider), Args: args})
}

// outsideNow runs it to its end.
func outsideNow(tb testing.TB, args ...string) {
	tb.Helper()
	r := harness.Run(tb, harness.Command{Path: harness.Build(tb, harness.Outsider), Args: args})
	if r.Code != 0 {
		tb.Fatalf("outsider %v: %s", args, r.Stderr)
	}
}

// outsideReport is what an outsider tells at its end.
type outsideReport struct {
	Writes, Increments, Locked int
	Errors                     []string
	Seconds                    float64
	LongestMS                  float64 `json:"longest_ms"`
	LongestAt                  int     `json:"longest_at"`
	Last                       map[string]int
}

func reportOf(t *testing.T, p *harness.Process) outsideReport {
	t.Helper()
	var r outsideReport
	if code := p.Wait(t); code != 0 {
		t.Fatalf("the outsider ended with %d: %s", code, p.Output())
	}
	if err := json.Unmarshal([]byte(p.Line(t, "{")), &r); err != nil {
		t.Fatal(err)
	}
	if r.Locked > 0 || len(r.Errors) > 0 {
		t.Errorf("the outsider was told \"locked\" %d times; other errors: %q", r.Locked, r.Errors)
	}
	return r
}

// makePlain makes the file as the project does that the table comes from, with an agent in it.
func makePlain(t *testing.T, db string) {
	t.Helper()
	outsideNow(t, "create", db)
	outsideNow(t, "exec", db, "INSERT INTO agent_state (agent_id, state_json) VALUES (?, ?)", "veteran", `{"seq":0}`)
}

// TestOutsiders has other processes write the same file with plain SQLite, while 64 savers go at full speed.
func TestOutsiders(t *testing.T) {
	bothWays(t, makePlain, func(t *testing.T, db string, s service) {
		besideOthers(t, db, s, func(name string) *harness.Process {
			return outside(t, "save", db, name, fmt.Sprint(outsiderWrites))
		})
	})
}

// tally is what the savers of this side did.
type tally struct {
	mu         sync.Mutex
	saves      int
	increments int
	longest    time.Duration
	last       map[string]int
	revisions  map[int64]string
}

func (c *tally) note(t *testing.T, id string, seq int, revision int64, begun time.Time) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saves++
	c.longest = max(c.longest, time.Since(begun))
	c.last[id] = seq
	if was, ok := c.revisions[revision]; ok {
		t.Errorf("revision %d was given to %s and to %s", revision, was, id)
	}
	c.revisions[revision] = id
}

func besideOthers(t *testing.T, db string, s service, spawn func(name string) *harness.Process) {
	t.Helper()
	start, err := s.Save(guarded(t), "first", []byte(`{"seq":0}`))
	if err != nil {
		t.Fatal(err)
	}
	var processes []*harness.Process
	for i := range outsiders {
		processes = append(processes, spawn(fmt.Sprintf("outside-%d", i)))
	}
	done := make(chan struct{})
	c := &tally{last: map[string]int{}, revisions: map[int64]string{}}
	var savers sync.WaitGroup
	for i := range besideOutsiders {
		savers.Go(func() { saveUntil(t, s, c, i, done) })
	}
	begun := time.Now()
	last, increments := map[string]int{}, 0
	for _, p := range processes {
		r := reportOf(t, p)
		maps.Copy(last, r.Last)
		increments += r.Increments
		t.Logf("outsider: %d writes, %d increments, %.0f a second, longest %.0f ms at write %d", r.Writes, r.Increments,
			float64(r.Writes+r.Increments)/r.Seconds, r.LongestMS, r.LongestAt)
	}
	close(done)
	elapsed := time.Since(begun)
	savers.Wait()
	t.Logf("beside them: %d saves and %d increments, %.0f a second, longest %v", c.saves, c.increments,
		float64(c.saves)/elapsed.Seconds(), c.longest.Round(time.Millisecond))
	s.stop()
	maps.Copy(last, c.last)
	verifyShared(t, db, last, increments+c.increments)
	verifyRevisions(t, db, start.Revision, c)
}

// saveUntil saves agents of its own, and now and then increments a counter that everyone increments.
func saveUntil(t *testing.T, s service, c *tally, saver int, done <-chan struct{}) {
	t.Helper()
	ctx := guarded(t)
	for seq := 0; ; seq++ {
		select {
		case <-done:
			return
		default:
		}
		begun := time.Now()
		if seq%8 == 7 {
			reply, err := actor.Update(ctx, s.Handler, fmt.Sprintf("counter-%d", seq%counterAgents), func(n *int) error { *n++; return nil })
			if err != nil {
				t.Errorf("saver %d: %v", saver, err)
				return
			}
			c.note(t, "", seq, reply.Revision, begun)
			c.mu.Lock()
			c.increments++
			c.mu.Unlock()
			continue
		}
		id := fmt.Sprintf("inside-%d-%d", saver, seq%4)
		reply, err := s.Save(ctx, id, fmt.Appendf(nil, `{"seq": %d}`, seq))
		if err != nil {
			t.Errorf("saver %d: %v", saver, err)
			return
		}
		c.note(t, id, seq, reply.Revision, begun)
	}
}

// verifyShared expects what every writer saved last, and every increment.
func verifyShared(t *testing.T, db string, last map[string]int, increments int) {
	t.Helper()
	file := look(t, db)
	for id, seq := range last {
		if id == "" {
			continue
		}
		var got string
		err := file.QueryRowContext(guarded(t), "SELECT state_json FROM agent_state WHERE agent_id = ?", id).Scan(&got)
		if want := fmt.Sprintf(`{"seq": %d}`, seq); err != nil || got != want {
			t.Errorf("%s holds %q, %v; its writer saved %s last", id, got, err, want)
		}
	}
	sum := number(t, file, "SELECT sum(CAST(state_json AS INTEGER)) FROM agent_state WHERE agent_id LIKE 'counter-%'")
	if sum != int64(increments) {
		t.Errorf("the counters add up to %d after %d increments", sum, increments)
	}
	if n := number(t, file, "SELECT count(*) FROM agent_state WHERE agent_id = 'veteran'"); n != 1 {
		t.Error("the agent that was there before is lost")
	}
}

// verifyRevisions expects every row of an outsider to have a revision of its own, newer than when it began.
func verifyRevisions(t *testing.T, db string, start int64, c *tally) {
	t.Helper()
	file := look(t, db)
	if n := number(t, file, "SELECT count(*) - count(DISTINCT revision) FROM agent_state"); n != 1 { // veteran has NULL
		t.Errorf("%d rows share a revision with another", n-1)
	}
	counter := number(t, file, "SELECT revision FROM stated_meta")
	rows, err := file.QueryContext(guarded(t), "SELECT agent_id, revision FROM agent_state WHERE agent_id LIKE 'outside-%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	n := 0
	for rows.Next() {
		var id string
		var revision int64
		if err := rows.Scan(&id, &revision); err != nil {
			t.Fatal(err)
		}
		n++
		if revision <= start || revision > counter {
			t.Errorf("%s has revision %d, not one between %d and %d", id, revision, start, counter)
		}
		if was, ok := c.revisions[revision]; ok {
			t.Errorf("%s has revision %d, which was acknowledged to %q", id, revision, was)
		}
	}
	if err := rows.Err(); err != nil || n == 0 {
		t.Errorf("%d rows of outsiders, %v", n, err)
	}
}

// TestOutsiders_Conditions shows that a change by an outsider makes a condition fail that was taken before it.
func TestOutsiders_Conditions(t *testing.T) {
	const replace = "INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)"
	cases := map[string][]string{
		"replaced":               {replace, "a", `{"from":"outside"}`},
		"updated":                {"UPDATE agent_state SET state_json = ? WHERE agent_id = ?", `{"from":"outside"}`, "a"},
		"saved again unchanged":  {replace, "a", `{"from":"us"}`},
		"deleted":                {"DELETE FROM agent_state WHERE agent_id = ?", "a"},
		"cleared":                {"DELETE FROM agent_state"},
		"renamed to another one": {"UPDATE agent_state SET agent_id = ? WHERE agent_id = ?", "b", "a"},
	}
	bothWays(t, newFile, func(t *testing.T, db string, s service) {
		ctx := guarded(t)
		for name, args := range cases {
			t.Run(name, func(t *testing.T) {
				saved, err := s.Save(ctx, "a", []byte(`{"from":"us"}`))
				if err != nil {
					t.Fatal(err)
				}
				outsideNow(t, append([]string{"exec", db}, args...)...)
				_, err = s.SaveIf(ctx, "a", []byte(`{"from":"us again"}`), protocol.IfRevision(saved.Revision))
				if !errors.Is(err, protocol.CodeConflict) {
					t.Fatalf("the save says %v, want a conflict", err)
				}
				loaded, err := s.Load(ctx, "a")
				switch {
				case errors.Is(err, protocol.CodeNotFound):
				case err != nil:
					t.Fatal(err)
				case loaded.Revision <= saved.Revision:
					t.Errorf("the outsider's row has revision %d, ours had %d", loaded.Revision, saved.Revision)
				case bytes.Contains(loaded.State, []byte("again")):
					t.Errorf("the state is %s", loaded.State)
				}
			})
		}
	})
}
