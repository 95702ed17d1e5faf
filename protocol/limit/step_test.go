package limit_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stated/stated/protocol/limit"
)

// A step is used again and again; each time it has all of its time.
func TestStep_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limit.NewStep(t.Context(), time.Minute)
		for range 3 {
			time.Sleep(time.Minute - 1)
			if err := s.Err(); err != nil {
				t.Fatalf("within its time: %v", err)
			}
			if until, ok := s.Deadline(); !ok || !until.Equal(time.Now().Add(1)) {
				t.Errorf("the deadline is %v", until)
			}
			if !s.Stop() {
				t.Fatal("it was stopped in time, but cannot be used again")
			}
			time.Sleep(time.Hour)
			s.Restart(time.Minute)
		}
		time.Sleep(time.Minute)
		<-s.Done()
		if s.Stop() {
			t.Error("it could be used again after its time was up")
		}
	})
}

// What ends a step is told to it, and to contexts that were made from it.
func TestStep_end(t *testing.T) {
	for name, want := range map[string]error{"late": context.DeadlineExceeded, "the connection ended": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life, end := context.WithCancel(context.Background())
				defer end()
				s := limit.NewStep(life, time.Minute)
				child, cancel := context.WithTimeout(s, time.Hour)
				defer cancel()
				if name == "late" {
					time.Sleep(time.Minute)
				} else {
					end()
				}
				<-s.Done()
				<-child.Done()
				for what, err := range map[string]error{
					"step": s.Err(), "child": child.Err(), "cause": context.Cause(s), "cause of the child": context.Cause(child),
				} {
					if !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", what, err, want)
					}
				}
				time.Sleep(time.Hour)
				if err := s.Err(); !errors.Is(err, want) {
					t.Errorf("later: %v, want %v", err, want)
				}
				s.Stop()
			})
		})
	}
}

// A step that ended before its time was up is not used again either.
func TestStep_ended(t *testing.T) {
	life, end := context.WithCancel(t.Context())
	s := limit.NewStep(life, time.Hour)
	end()
	if s.Stop() {
		t.Error("it could be used again after the connection ended")
	}
}

// A context that is made from a step costs no goroutine, which package context starts for one that it does not know.
func TestStep_child(t *testing.T) {
	const children = 100
	s := limit.NewStep(t.Context(), time.Minute)
	defer s.Stop()
	before := runtime.NumGoroutine()
	for range children {
		_, cancel := context.WithCancel(s)
		defer cancel()
	}
	if n := runtime.NumGoroutine() - before; n >= children {
		t.Errorf("%d goroutines more", n)
	}
}
