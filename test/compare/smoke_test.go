package main

import (
	"bytes"
	"testing"
	"time"
)

// TestPeers has every store acknowledge saves, some at once, and give them back after it was opened again.
func TestPeers(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			const agents = 40
			s := spec{Peer: k.name, Dir: t.TempDir(), Do: doFill, Clients: 4, Agents: agents}
			if k.name == bareSQL || k.name == bareDriver {
				s.Clients = 1
			}
			if _, err := s.measure(); err != nil {
				t.Fatal(err)
			}
			states := newStates(seeded(s.Seed))
			p, err := k.open(s.Dir, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i := range agents {
				got, err := p.load(agentID(i))
				if err != nil || !bytes.Equal(got, states[i]) {
					t.Errorf("%s: got %q, %v, want %q", agentID(i), got, err, states[i])
				}
			}
			if state, err := p.load(agentID(agents)); err == nil {
				t.Errorf("an agent that nobody saved: got %q", state)
			}
			if b, ok := p.(batcher); ok {
				checkBatch(t, p, b)
			}
			if err := p.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func checkBatch(t *testing.T, p peer, b batcher) {
	t.Helper()
	items := []item{{"first", newState(seeded(1))}, {"second", newState(seeded(2))}}
	if err := b.saveAll(items); err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if got, err := p.load(it.id); err != nil || !bytes.Equal(got, it.state) {
			t.Errorf("%s: got %q, %v, want %q", it.id, got, err, it.state)
		}
	}
}

// TestSpec_measure makes a short measurement of each sort.
func TestSpec_measure(t *testing.T) {
	s := spec{Peer: pebble, Dir: t.TempDir(), Do: doFill, Clients: 4, Agents: 100}
	if _, err := s.measure(); err != nil {
		t.Fatal(err)
	}
	for _, do := range []string{doSave, doLoad} {
		s.Do, s.Warmup, s.Duration = do, 10*time.Millisecond, 50*time.Millisecond
		got, err := s.measure()
		if err != nil {
			t.Fatal(err)
		}
		if got.PerSecond <= 0 || got.P50 <= 0 || got.P99 < got.P50 || got.Max < got.P99 || got.Acked <= 0 || got.CPU <= 0 || got.Failed != 0 {
			t.Errorf("%s: got %+v", do, got)
		}
	}
	s.Agents = 101 // one of them was never saved
	got, err := s.measure()
	if err != nil || got.Failed == 0 || got.FirstError == "" {
		t.Errorf("loads of what is not there: got %+v, %v", got, err)
	}
}

// TestSpec_batch wants batches of the peers that have them alone.
func TestSpec_batch(t *testing.T) {
	s := spec{Peer: bareDriver, Dir: t.TempDir(), Do: doSave, Clients: 1, Batch: 7, Agents: 10, Duration: 50 * time.Millisecond}
	got, err := s.measure()
	if err != nil || got.Acked == 0 || got.Acked%7 != 0 {
		t.Errorf("got %+v, %v, want a multiple of 7 saves", got, err)
	}
	s.Peer, s.Dir = bbolt, t.TempDir()
	if got, err := s.measure(); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
}
