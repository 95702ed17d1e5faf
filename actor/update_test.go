package actor_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

type agent struct {
	Turn int     `json:"turn"`
	Mood float64 `json:"mood"`
}

func TestUpdate(t *testing.T) {
	a := mustStart(t, tempDB(t), nil)
	r, err := actor.Update(t.Context(), a, "a", func(s *agent) error {
		if *s != (agent{}) {
			t.Errorf("a new agent begins with %+v", *s)
		}
		s.Turn = 1
		return nil
	})
	if err != nil || r.Found || r.Revision != 1 {
		t.Errorf("create: %+v, %v", r, err)
	}
	r, err = actor.Update(t.Context(), a, "a", func(s *agent) error { s.Turn++; return nil })
	if err != nil || !r.Found || r.Revision != 2 {
		t.Errorf("change: %+v, %v", r, err)
	}
	if r, err := a.Load(t.Context(), "a"); err != nil || string(r.State) != `{"turn":2,"mood":0}` {
		t.Errorf("%s, %v", r.State, err)
	}

	refused := errors.New("not today")
	if _, err := actor.Update(t.Context(), a, "a", func(*agent) error { return refused }); err != refused { //nolint:errorlint // as it is
		t.Errorf("change's error became %v", err)
	}
	_, err = actor.Update(t.Context(), a, "a", func(s *[]string) error { t.Error("called"); return nil })
	wantCode(t, err, protocol.CodeInvalid)
	_, err = actor.Update(t.Context(), a, "a", func(s *agent) error { s.Mood = math.NaN(); return nil })
	wantCode(t, err, protocol.CodeInvalid)
	_, err = actor.Update(t.Context(), a, "", func(s *agent) error { t.Error("called"); return nil })
	wantCode(t, err, protocol.CodeInvalid)
	if r, err := a.Load(t.Context(), "a"); err != nil || r.Revision != 2 {
		t.Errorf("somebody saved: %+v, %v", r, err)
	}
}

// TestUpdate_BeginsAnew: on CONFLICT, and on nothing else.
func TestUpdate_BeginsAnew(t *testing.T) {
	a := mustStart(t, tempDB(t), nil)
	calls := 0
	r, err := actor.Update(t.Context(), a, "a", func(s *agent) error {
		if calls++; calls <= 3 { // somebody is quicker: creates it, changes it, deletes it
			var err error
			if calls == 3 {
				_, err = a.Delete(t.Context(), "a")
			} else {
				_, err = a.Save(t.Context(), "a", fmt.Appendf(nil, `{"turn":%d}`, calls*10))
			}
			if err != nil {
				t.Error(err)
			}
		}
		s.Turn++
		return nil
	})
	if err != nil || calls != 4 || r.Found {
		t.Errorf("%d calls, %+v, %v", calls, r, err)
	}
	if r, err := a.Load(t.Context(), "a"); err != nil || string(r.State) != `{"turn":1,"mood":0}` {
		t.Errorf("%s, %v", r.State, err)
	}

	for _, code := range []protocol.Code{protocol.CodeUnknown, protocol.CodeLocked, protocol.CodeOverloaded, protocol.CodeFull} {
		f := &fakeStore{onApply: func(context.Context, int, protocol.Batch) ([]protocol.Reply, error) {
			return nil, protocol.Errorf(code, "it failed")
		}}
		a := actor.New(f, actor.Options{})
		calls := 0
		_, err := actor.Update(t.Context(), a, "a", func(*agent) error { calls++; return nil })
		if calls != 1 || (code != protocol.CodeUnknown) != errors.Is(err, code) && code != protocol.CodeUnknown {
			t.Errorf("%s: %d calls, %v", code, calls, err)
		}
		mustClose(t, a)
	}
}

// TestUpdate_Contended: every one of many counts.
func TestUpdate_Contended(t *testing.T) {
	a := mustStart(t, tempDB(t), nil)
	const workers, turns = 8, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range turns {
				if _, err := actor.Update(t.Context(), a, "shared", func(s *agent) error { s.Turn++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if r, err := a.Load(t.Context(), "shared"); err != nil || string(r.State) != fmt.Sprintf(`{"turn":%d,"mood":0}`, workers*turns) {
		t.Errorf("%s, %v", r.State, err)
	}
}
