package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestMoved takes the file away under load. SQLite would go on without an error, into a file that nobody finds again.
func TestMoved(t *testing.T) {
	cases := map[string]struct{ away, back func(db string) error }{
		"renamed and back": {
			away: func(db string) error { return os.Rename(db, db+".away") },
			back: func(db string) error { return os.Rename(db+".away", db) },
		},
		"replaced by another and back": {
			away: func(db string) error {
				if err := os.WriteFile(db+".other", nil, 0o600); err != nil {
					return err
				}
				return errors.Join(os.Link(db, db+".away"), os.Rename(db+".other", db))
			},
			back: func(db string) error { return os.Rename(db+".away", db) },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bothWays(t, newFile, func(t *testing.T, db string, s service) {
				l := startMoving(t, s)
				l.waitForAcks(t, 200)
				if err := c.away(db); err != nil {
					t.Fatal(err)
				}
				l.away.Store(true)
				l.waitForErrors(t, 100)
				l.away.Store(false) // those who begin now may be lucky
				if err := c.back(db); err != nil {
					t.Fatal(err)
				}
				l.waitForAcks(t, 200)
				l.stop()
				l.verify(t, s)
				s.stop()
			})
		})
	}
}

// TestMoved_Log removes the write-ahead log under load, with what is only in it. After a moment of UNKNOWN the daemon
// goes on, and has lost nothing: not while another process has the file open either, and not after a kill.
func TestMoved_Log(t *testing.T) {
	for name, beside := range map[string]bool{"alone": false, "beside an outsider": true} {
		t.Run(name, func(t *testing.T) {
			db := harness.File(t)
			d := harness.Start(t, db)
			s := service{Methods: d.Client(t, resp.ClientOptions{Connections: 4}).Methods}
			l := startMoving(t, s)
			l.waitForAcks(t, 200)
			if beside {
				outside(t, "open", db).Line(t, "opened")
			}
			if err := os.Remove(db + "-wal"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "saves are told UNKNOWN", func() bool { return l.unknown.Load() > 0 || t.Failed() })
			l.waitForAcks(t, 200)
			l.stop()
			l.verify(t, s)
			d.Kill()
			l.verify(t, service{Methods: harness.Start(t, db).Client(t, resp.ClientOptions{}).Methods})
		})
	}
}

// moving is a load beside which the file is moved.
type moving struct {
	away         atomic.Bool // the file is certainly not in its place
	acks, errors atomic.Int64
	unknown      atomic.Int64
	stop         func()

	mu   sync.Mutex
	last map[string]saved
}

func startMoving(t *testing.T, s service) *moving {
	t.Helper()
	l := &moving{last: map[string]saved{}}
	ctx, cancel := context.WithCancel(guarded(t))
	var savers sync.WaitGroup
	for i := range 16 {
		savers.Go(func() {
			for seq := 1; ctx.Err() == nil; seq++ {
				l.save(t, s, fmt.Sprintf("agent-%d", i), seq)
			}
		})
	}
	l.stop = func() {
		cancel()
		savers.Wait()
	}
	t.Cleanup(l.stop)
	return l
}

// save is one save and what may come of it. What begins while the file is away must not be acknowledged.
func (l *moving) save(t *testing.T, s service, id string, seq int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	away := l.away.Load()
	reply, err := s.Save(ctx, id, fmt.Appendf(nil, `{"seq":%d}`, seq))
	switch code := protocol.CodeOf(err); {
	case err == nil && away && l.away.Load():
		t.Errorf("%s: save %d was acknowledged with revision %d while the file was away", id, seq, reply.Revision)
	case err == nil:
		l.acks.Add(1)
		l.mu.Lock()
		l.last[id] = saved{seq, reply.Revision}
		l.mu.Unlock()
	case code == protocol.CodeUnknown:
		l.unknown.Add(1)
		l.errors.Add(1)
	case code == protocol.CodeUnavailable:
		l.errors.Add(1)
	default:
		t.Errorf("%s: save %d says %v", id, seq, err)
	}
}

func (l *moving) waitForAcks(t *testing.T, n int64) {
	t.Helper()
	from := l.acks.Load()
	eventually(t, "saves are acknowledged", func() bool { return l.acks.Load() >= from+n || t.Failed() })
}

func (l *moving) waitForErrors(t *testing.T, n int64) {
	t.Helper()
	eventually(t, "saves are refused", func() bool { return l.errors.Load() >= n || t.Failed() })
}

func (l *moving) verify(t *testing.T, s service) {
	t.Helper()
	t.Logf("%d acknowledged, %d unknown, %d not applied", l.acks.Load(), l.unknown.Load(), l.errors.Load()-l.unknown.Load())
	if n := l.unknown.Load(); n == 0 || n > 64 {
		t.Errorf("%d saves were told UNKNOWN, want those of the moment", n)
	}
	for id, want := range l.last {
		reply, err := s.Load(guarded(t), id)
		if err != nil || reply.Revision < want.revision {
			t.Errorf("%s has revision %d, %v; %d was acknowledged", id, reply.Revision, err, want.revision)
		}
	}
	begun := time.Now()
	if _, err := s.Save(guarded(t), "last", []byte(`{}`)); err != nil {
		t.Errorf("a save after it: %v, after %v", err, time.Since(begun))
	}
}
