//go:build system

package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// traffic is a load that saves each agent once and remembers what it was told; beside it, reads that must never fail.
type traffic struct {
	s     service
	bytes int // of a state

	refusals, acks, reads atomic.Int64
	liar                  atomic.Bool  // an acknowledgement means nothing at the moment
	lies                  atomic.Int64 // how many there were
	mu                    sync.Mutex
	told                  map[string]protocol.Code // by agent; empty: acknowledged
	unsettled             bool                     // what is in doubt cannot be read at the moment
	cancel                context.CancelFunc
	all                   sync.WaitGroup
}

// start runs savers and one reader until stop.
func start(t *testing.T, s service, savers, bytes int) *traffic {
	t.Helper()
	l := &traffic{s: s, bytes: bytes, told: map[string]protocol.Code{}}
	ctx, cancel := context.WithCancel(harness.Guarded(t))
	l.cancel = cancel
	if _, err := s.Save(ctx, "old", []byte(`"old"`)); err != nil {
		t.Fatal(err)
	}
	for i := range savers {
		l.all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.save(t, fmt.Sprintf("agent-%d-%d", i, n))
			}
		})
	}
	l.all.Go(func() {
		for ctx.Err() == nil {
			if reply, err := s.Load(harness.Guarded(t), "old"); err != nil || string(reply.State) != `"old"` {
				t.Errorf("a read meanwhile: %s, %v", reply.State, err)
				return
			}
			l.reads.Add(1)
		}
	})
	t.Cleanup(l.stop)
	return l
}

func (l *traffic) stop() {
	l.cancel()
	l.all.Wait()
}

func (l *traffic) state(id string) []byte {
	return append(append([]byte(`"`+id), bytes.Repeat([]byte("x"), l.bytes)...), '"')
}

func (l *traffic) save(t *testing.T, id string) {
	_, err := l.s.Save(harness.Guarded(t), id, l.state(id))
	code := protocol.CodeOf(err)
	switch code {
	case "":
		if l.liar.Load() {
			l.lies.Add(1)
			code = protocol.CodeUnknown
			break
		}
		l.acks.Add(1)
	case protocol.CodeFull, protocol.CodeIO, protocol.CodeReadOnly, protocol.CodeUnavailable:
		l.refusals.Add(1)
	case protocol.CodeUnknown:
	default:
		t.Errorf("%s: %v", id, err)
	}
	l.mu.Lock()
	l.told[id] = code
	l.mu.Unlock()
}

// refused waits until n more saves were refused.
func (l *traffic) refused(t *testing.T, n int64) {
	t.Helper()
	from := l.refusals.Load()
	harness.Eventually(t, "saves are refused", func() bool { return l.refusals.Load() >= from+n || t.Failed() })
}

// acknowledged waits until n more saves were acknowledged.
func (l *traffic) acknowledged(t *testing.T, n int64) {
	t.Helper()
	from := l.acks.Load()
	harness.Eventually(t, "saves are acknowledged", func() bool { return l.acks.Load() >= from+n || t.Failed() })
}

// verify holds what is there against what the savers were told. Nothing may have been read in vain meanwhile.
func (l *traffic) verify(t *testing.T, m protocol.Methods) {
	t.Helper()
	counts := map[protocol.Code]int{}
	there := 0
	for id, code := range l.told {
		counts[code]++
		reply, err := m.Load(harness.Guarded(t), id)
		missing := errors.Is(err, protocol.CodeNotFound)
		switch {
		case l.unsettled && code == protocol.CodeUnknown && errors.Is(err, protocol.CodeIO):
		case err != nil && !missing:
			t.Errorf("%s: %v", id, err)
		case missing && code == "":
			t.Errorf("%s was acknowledged and is not there", id)
		case !missing && code != "" && code != protocol.CodeUnknown:
			t.Errorf("%s was refused with %s and is there", id, code)
		case !missing && !bytes.Equal(reply.State, l.state(id)):
			t.Errorf("%s has another state", id)
		case !missing && code == protocol.CodeUnknown:
			there++
		}
	}
	if l.reads.Load() == 0 {
		t.Error("nothing was read")
	}
	acks := counts[""]
	delete(counts, "")
	t.Logf("%d acknowledged; refused and unknown: %v; of the unknown %d are there; %d reads", acks, counts, there, l.reads.Load())
}
