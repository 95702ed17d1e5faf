package damage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// TestLiveIndexCut cuts the index of the log, which every process has mapped into its memory, under a running daemon.
// Whoever touches what is gone gets a signal; it must not end the daemon, and none may be told a lie.
func TestLiveIndexCut(t *testing.T) {
	for _, size := range []int64{0, 1, 100, 136, 4096, 5000, 32767} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			db := write(t, nil)
			d := harness.Start(t, db)
			load := startLoad(t, d)
			load.waitForAcks(t, 50)
			if err := os.Truncate(db+"-shm", size); err != nil {
				t.Fatal(err)
			}
			load.waitForAnswers(t, 100)
			acked := load.stop()
			select {
			case <-d.Gone():
				t.Fatalf("the daemon is gone:\n%s", d.Output())
			default:
			}
			t.Logf("acknowledged %d, refused %v", load.acks.Load(), load.codes())
			d.Kill()
			if r := harness.CLI(t, "check", "--deep", "--db", db); r.Code == exitDamaged {
				t.Logf("check: %s", r.Stdout)
				return // it is said
			}
			d = harness.Start(t, db)
			m := d.Client(t, clientOptions).Methods
			for id, revision := range acked {
				if reply, err := m.Load(guarded(t), id); err != nil || reply.Revision < revision {
					t.Errorf("%s: revision %d was acknowledged; %d, %v", id, revision, reply.Revision, err)
				}
			}
			d.Stop(t)
		})
	}
}

// TestLiveDatabase damages pages of the database under a running daemon, which has them in its cache or not. Good rows are
// served, damaged ones are reported, and once SQLite has found the file damaged nothing is changed in it any more.
func TestLiveDatabase(t *testing.T) {
	h := historyOf(t, closed)
	r := harness.Random(t)
	for range long(2, 10) {
		db := write(t, h.files)
		d := harness.Start(t, db)
		m := d.Client(t, clientOptions).Methods
		hurtPages(t, r, db, h, 8)
		v := &verdict{}
		h.read(t, m, v)
		h.change(t, m, v)
		for _, text := range v.wrong {
			t.Error(text)
		}
		refused := protocol.CodeOf(second(m.Save(guarded(t), "after all", []byte("1"))))
		d.Kill()
		check := &verdict{}
		found := check.check(t, db, true)
		t.Logf("%d errors, %d hidden, %d wrong entries; then a save says %q; check --deep finds it: %t", len(v.errors), len(v.hidden),
			len(v.entries), refused, found)
		if len(v.hidden)+len(v.entries) > 0 && !found {
			t.Errorf("check finds nothing, but %q %q", v.hidden, v.entries)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// hurtPages puts noise over some pages, behind the first one, in place.
func hurtPages(t *testing.T, r *rand.Rand, db string, h *history, n int) {
	t.Helper()
	f, err := os.OpenFile(db, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range n {
		page := 1 + r.IntN(len(h.files[""])/h.pageSize-1)
		junk := make([]byte, h.pageSize)
		for i := range junk {
			junk[i] = byte(r.Uint32())
		}
		if _, err := f.WriteAt(junk, int64(page*h.pageSize)); err != nil {
			t.Fatal(err)
		}
	}
}

// saving is a load of savers and loaders, which looks at every answer.
type saving struct {
	acks, answers atomic.Int64
	quit          chan struct{}
	all           sync.WaitGroup
	mu            sync.Mutex
	acked         map[string]int64
	refused       map[protocol.Code]int
}

func startLoad(t *testing.T, d *harness.Daemon) *saving {
	t.Helper()
	s := &saving{quit: make(chan struct{}), acked: map[string]int64{}, refused: map[protocol.Code]int{}}
	m := d.Client(t, clientOptions).Methods
	for i := range 4 {
		s.all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-s.quit:
					return
				case <-d.Gone():
					return
				default:
					s.one(t, m, fmt.Sprintf("%s-%d", agentID(i), n%5), fmt.Appendf(nil, `"%0*d"`, 2000, n))
				}
			}
		})
	}
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *saving) one(t *testing.T, m protocol.Methods, id string, state []byte) {
	reply, err := m.Save(guarded(t), id, state)
	s.answers.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.refused[protocol.CodeOf(err)]++
		if protocol.CodeOf(err) == protocol.CodeInternal {
			t.Errorf("a save says %v", err)
		}
		return
	}
	s.acks.Add(1)
	s.acked[id] = reply.Revision
	loaded, err := m.Load(guarded(t), id)
	switch {
	case errors.Is(err, protocol.CodeNotFound) || err == nil && (loaded.Revision != reply.Revision || !bytes.Equal(loaded.State, state)):
		t.Errorf("%s was saved with revision %d, and is loaded with %d, %v", id, reply.Revision, loaded.Revision, err)
	case err != nil:
		s.refused[protocol.CodeOf(err)]++
	}
}

func (s *saving) codes() map[protocol.Code]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (s *saving) waitForAcks(t *testing.T, n int64)    { waitFor(t, &s.acks, n) }
func (s *saving) waitForAnswers(t *testing.T, n int64) { waitFor(t, &s.answers, s.answers.Load()+n) }

// stop ends the load, and gives what was acknowledged.
func (s *saving) stop() map[string]int64 {
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.all.Wait()
	return s.acked
}
