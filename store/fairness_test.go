package store_test

import (
	"testing"
	"time"

	"github.com/stated/stated/store"
)

// TestFairness: while outsiders write, the lock is left free for as long as it was held, within bounds.
func TestFairness(t *testing.T) {
	var f store.Fairness
	now := time.Now()
	hold := func(d time.Duration) {
		f.Locked(now)
		now = now.Add(d)
		f.Unlocked(now)
	}
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := max(0, f.Pause(now)); got != d {
			t.Errorf("%s: the pause is %v, want %v", what, got, d)
		}
	}
	hold(30 * time.Millisecond)
	want("nobody else writes", 0)
	f.SawOutsider(now)
	want("an outsider wrote", 30*time.Millisecond)
	now = now.Add(10 * time.Millisecond)
	want("some of it has passed", 20*time.Millisecond)
	now = now.Add(time.Second)
	want("all of it has passed", 0)
	hold(10 * time.Second)
	want("held for long", 120*time.Millisecond)
	now = now.Add(time.Minute)
	hold(30 * time.Millisecond)
	want("the outsider is long gone", 0)
	f.SawOutsider(now)
	want("it is back", 30*time.Millisecond)
}

// TestFairness_Present: a program that merely has the file open may be waiting for its first change.
func TestFairness_Present(t *testing.T) {
	var f store.Fairness
	now := time.Now()
	held := func() time.Duration {
		f.Locked(now)
		now = now.Add(40 * time.Millisecond)
		f.Unlocked(now)
		return max(0, f.Pause(now))
	}
	for i, step := range []struct {
		pass   time.Duration
		others bool
		want   time.Duration
	}{
		{0, false, 0},
		{time.Millisecond, true, 0}, // it does not look each time
		{time.Second, true, 10 * time.Millisecond},
		{time.Millisecond, false, 10 * time.Millisecond},
		{time.Second, false, 0},
	} {
		now = now.Add(step.pass)
		f.Look(now, step.others)
		if got := held(); got != step.want {
			t.Errorf("step %d: the pause is %v, want %v", i, got, step.want)
		}
	}
}

// TestApply_NoticesOutsiders: its own commits are not taken for somebody else's.
func TestApply_NoticesOutsiders(t *testing.T) {
	s := share(t)
	for range 3 {
		s.save("a", "1")
	}
	if got := s.s.Info().OutsideWrites; got != 0 {
		t.Errorf("%d outside writes with nobody there", got)
	}
	s.exec(pySave, "a", "2")
	s.save("a", "3")
	s.save("a", "4")
	if got := s.s.Info().OutsideWrites; got != 1 {
		t.Errorf("%d outside writes, want 1", got)
	}
	s.exec("CREATE TABLE other (x)") // nor does another table concern stated
	s.exec("INSERT INTO other VALUES (1)")
	s.goesOn()
}
