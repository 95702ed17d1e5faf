package resp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A step is used again and again; each time it has all of its time.
func TestStep_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStep(t.Context(), time.Minute)
		for range 3 {
			time.Sleep(time.Minute - 1)
			if err := s.Err(); err != nil {
				t.Fatalf("within its time: %v", err)
			}
			if until, ok := s.Deadline(); !ok || !until.Equal(time.Now().Add(1)) {
				t.Errorf("the deadline is %v", until)
			}
			if !s.stop() {
				t.Fatal("it was stopped in time, but cannot be used again")
			}
			time.Sleep(time.Hour)
			s.restart(time.Minute)
		}
		time.Sleep(time.Minute)
		<-s.Done()
		if s.stop() {
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
				s := newStep(life, time.Minute)
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
				s.stop()
			})
		})
	}
}
