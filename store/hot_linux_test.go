package store_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// wantState loads an agent, and says whether that came from memory.
func wantState(tb testing.TB, s *store.Store, id, want string) (hot bool) {
	tb.Helper()
	before := s.Info().HotLoads
	reply, err := load(tb, s, id)
	if want == "" && !errors.Is(err, protocol.CodeNotFound) || want != "" && (err != nil || string(reply.State) != want) {
		tb.Errorf("load of %s gives %s, %v, want %q", id, reply.State, err, want)
	}
	return s.Info().HotLoads > before
}

// TestHot: a load is answered from memory when it can be, and always with what the file holds.
func TestHot(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	other := mustOutsider(t, path)
	mustApply(t, s, save("a", "1"), save("b", "1"))
	for _, step := range []struct {
		what string
		do   func()
		id   string
		want string
		hot  bool
	}{
		{"never loaded", func() {}, "a", "1", false},
		{"loaded before", func() {}, "a", "1", true},
		{"saved", func() { mustApply(t, s, save("a", "2")) }, "a", "2", true},
		{"another one saved", func() { mustApply(t, s, save("c", "1")) }, "a", "2", true},
		{"a failed save", func() { mustApply(t, s, save("b", "9", protocol.IfRevision(77))) }, "a", "2", true},
		{"a condition that fails", func() {
			if _, err := apply1(t, s, save("a", "9", protocol.IfAbsent())); !errors.Is(err, protocol.CodeConflict) {
				t.Error(err)
			}
		}, "a", "2", true},
		{"saved in a transaction", func() { mustApply(t, s, txn(save("a", "3"), save("a", "4"))) }, "a", "4", true},
		{"an outsider's change", func() { mustExec(t, other, pySave, "a", "5") }, "a", "5", false},
		{"loaded again", func() {}, "a", "5", true},
		{"an outsider's change of another agent", func() { mustExec(t, other, pySave, "b", "5") }, "a", "5", false},
		{"ours behind an outsider's", func() { mustExec(t, other, pySave, "a", "6"); mustApply(t, s, save("c", "2")) }, "a", "6", false},
		{"an outsider's checkpoint", func() { mustExec(t, other, "PRAGMA wal_checkpoint(TRUNCATE)") }, "a", "6", false},
		{"behind it", func() { mustApply(t, s, save("c", "3")) }, "a", "6", true},
		{"deleted", func() { mustApply(t, s, del("a")) }, "a", "", false},
		{"saved again", func() { mustApply(t, s, save("a", "7")) }, "a", "7", false},
		{"cleared", func() { wantState(t, s, "a", "7"); mustApply(t, s, protocol.Clear(), save("b", "8")) }, "a", "", false},
		{"saved behind the clear", func() {}, "b", "8", false},
	} {
		step.do()
		if hot := wantState(t, s, step.id, step.want); hot != step.hot {
			t.Errorf("%s: answered from memory: %v", step.what, hot)
		}
	}
}

// TestHot_ForeignTrigger: a trigger of somebody else changes an agent that nobody named.
func TestHot_ForeignTrigger(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"), save("b", "1"))
	wantState(t, s, "b", "1")
	mustExec(t, mustOutsider(t, path), `CREATE TRIGGER u AFTER UPDATE ON agent_state WHEN NEW.agent_id = 'a'
		BEGIN UPDATE agent_state SET state_json = NEW.state_json WHERE agent_id = 'b'; END`)
	mustApply(t, s, save("a", "2"))
	wantState(t, s, "b", "2")
	mustApply(t, s, save("a", "3"))
	wantState(t, s, "b", "3")
}

// TestHot_CallersBytes: what callers do with the bytes that they gave or got changes nothing.
func TestHot_CallersBytes(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	mine := []byte(`"mine"`)
	for range 3 {
		mustApply(t, s, must(protocol.Save("a", mine, protocol.Condition{})))
		copy(mine, `"your"`)
		reply, err := load(t, s, "a")
		if err != nil {
			t.Fatal(err)
		}
		copy(reply.State, `"evil"`)
		wantState(t, s, "a", `"mine"`)
		copy(mine, `"mine"`)
	}
}

// TestHot_Bounded: memory is bounded, and the agents that were loaded last are kept.
func TestHot_Bounded(t *testing.T) {
	o := impatient()
	o.HotBytes = 1 << 20
	s := mustOpen(t, tempDB(t), o)
	state := `"` + strings.Repeat("x", 1000) + `"`
	var ops []protocol.Op
	for i := range 4000 {
		ops = append(ops, save(fmt.Sprint("agent", i), state))
	}
	mustApply(t, s, append(ops, save("large", `"`+strings.Repeat("x", 1<<20)+`"`))...)
	for i := range 4000 {
		wantState(t, s, fmt.Sprint("agent", i), state)
		if kept := s.HotKept(); kept > o.HotBytes {
			t.Fatalf("%d bytes are kept", kept)
		}
	}
	if s.HotKept() < o.HotBytes*3/4 {
		t.Errorf("only %d bytes are kept", s.HotKept())
	}
	if !wantState(t, s, "agent3999", state) || wantState(t, s, "agent0", state) {
		t.Error("it is not the last ones that are kept")
	}
	if _, err := load(t, s, "large"); err != nil {
		t.Error(err)
	}
	if kept := s.HotKept(); kept > o.HotBytes {
		t.Errorf("%d bytes are kept", kept)
	}
}

// TestHot_Off: nothing is kept if nobody wants it.
func TestHot_Off(t *testing.T) {
	o := impatient()
	o.HotBytes = -1
	s := mustOpen(t, tempDB(t), o)
	mustApply(t, s, save("a", "1"))
	wantState(t, s, "a", "1")
	if wantState(t, s, "a", "1") {
		t.Error("answered from memory")
	}
}

// TestHot_IndexCut: somebody cuts the -shm file, which would kill a program that looks at it without care.
func TestHot_IndexCut(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	wantState(t, s, "a", "1")
	if err := os.Truncate(path+"-shm", 0); err != nil {
		t.Fatal(err)
	}
	if reply, err := load(t, s, "a"); err == nil && string(reply.State) != "1" {
		t.Errorf("%s", reply.State)
	}
	if err := os.Truncate(path+"-shm", 32<<10); err != nil {
		t.Fatal(err)
	}
}

// TestHot_Exact has writers in this process and outside of it count upwards, and readers that never see a number that is
// smaller than one that was acknowledged before they asked.
func TestHot_Exact(t *testing.T) {
	path := tempDB(t)
	o := impatient()
	o.LockTimeout = 0 // the default
	s := mustOpen(t, path, o)
	other := mustOutsider(t, path)
	mustExec(t, other, "PRAGMA busy_timeout=60000")
	const agents, rounds = 4, 200
	var acknowledged [agents]atomic.Int64
	var ours sync.Mutex // one caller at a time
	id := func(i int) string { return fmt.Sprint("agent", i) }
	for i := range agents {
		mustApply(t, s, save(id(i), "0"))
	}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range agents {
		writers.Go(func() {
			for n := range int64(rounds) {
				number := strconv.FormatInt(n+1, 10)
				if i%2 == 0 { // each agent has one writer, so that its numbers go up
					ours.Lock()
					mustApply(t, s, save(id(i), number))
					ours.Unlock()
				} else {
					mustExec(t, other, pySave, id(i), number)
				}
				acknowledged[i].Store(n + 1)
			}
		})
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				at := (i + n) % agents
				atLeast := acknowledged[at].Load()
				reply, err := load(t, s, id(at))
				if got, _ := strconv.ParseInt(string(reply.State), 10, 64); err != nil || got < atLeast {
					t.Errorf("load of %s gives %s, %v; %d was acknowledged before", id(at), reply.State, err, atLeast)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	t.Logf("%d loads from memory", s.Info().HotLoads)
}
