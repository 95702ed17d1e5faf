package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// clock is injected time: sleeping moves it, and is noted.
type clock struct {
	now     time.Time
	slept   []time.Duration
	onSleep func(n int) // n counts from 1
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	if c.onSleep != nil {
		c.onSleep(len(c.slept))
	}
	return ctx.Err()
}

func (c *clock) options() store.Options {
	o := impatient()
	o.Retry.Now, o.Retry.Sleep = c.Now, c.Sleep
	return o
}

// logged gives the lines of a zerolog buffer.
func logged(t *testing.T, b *bytes.Buffer) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		lines = append(lines, m)
	}
	return lines
}

var errBusy = store.DriverError(5, "database is locked (5) (SQLITE_BUSY)")

// lock takes the write lock as another program does, and gives the way to let it go.
func lock(t *testing.T, outside *sql.DB) (unlock func()) {
	t.Helper()
	mustExec(t, outside, "BEGIN IMMEDIATE")
	return func() { mustExec(t, outside, "ROLLBACK") }
}

func TestRetriesOnDatabaseLocked(t *testing.T) {
	t.Run("policy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun, attempts := time.Now(), 0
			retries, gaveUp, err := store.Retry{Max: 5, Base: 100 * time.Millisecond, MaxDelay: 5 * time.Second}.Do(
				t.Context(), zerolog.Nop(), func() error {
					if attempts++; attempts < 4 {
						return fmt.Errorf("begin: %w", errBusy)
					}
					return nil
				})
			if err != nil || attempts != 4 || retries != 3 || gaveUp != 0 {
				t.Errorf("%d attempts, %d retries, %d given up, %v", attempts, retries, gaveUp, err)
			}
			if got := time.Since(begun); got != 700*time.Millisecond {
				t.Errorf("slept %v in all, want 100+200+400 ms", got)
			}
		})
	})
	// The lock is really held, by another connection, and let go while the store sleeps before the third retry.
	for name, op := range map[string]protocol.Op{
		"save": save("b", "2"), "delete": del("a"), "clear": protocol.Clear(), "txn": txn(save("b", "2"), del("a")),
	} {
		t.Run(name, func(t *testing.T) {
			path, c := tempDB(t), &clock{}
			s := mustOpen(t, path, c.options())
			mustApply(t, s, save("a", "1"))
			unlock := lock(t, mustOutsider(t, path))
			c.onSleep = func(n int) {
				if n == 3 {
					unlock()
				}
			}
			b := batchOf(op)
			replies, err := s.Apply(t.Context(), b)
			if err != nil || replies[0].Err != nil {
				t.Fatal(replies, err)
			}
			if len(c.slept) != 3 || b.asked != 4 || b.taken != 1 || b.release != 0 {
				t.Errorf("slept %v; the batch: asked %d, taken %d, released %d", c.slept, b.asked, b.taken, b.release)
			}
			if info := s.Info(); info.LockRetries != 3 || info.LockGaveUp != 0 {
				t.Errorf("counted %d retries, %d given up", info.LockRetries, info.LockGaveUp)
			}
		})
	}
}

func TestGivesUpAfterMaxRetries(t *testing.T) {
	path, c, buf := tempDB(t), &clock{}, &bytes.Buffer{}
	o := c.options()
	o.Logger = zerolog.New(buf)
	s := mustOpen(t, path, o)
	mustApply(t, s, save("a", "1"))
	unlock := lock(t, mustOutsider(t, path))

	b := batchOf(save("a", "2"), save("b", "2"))
	replies, err := s.Apply(t.Context(), b)
	if replies != nil || !errors.Is(err, protocol.CodeLocked) {
		t.Fatalf("got %v, %v; want LOCKED", replies, err)
	}
	mustBeTyped(t, err)
	e := protocol.AsError(err)
	attempts, _ := e.Fact(protocol.FactAttempts)
	elapsed, _ := e.Fact(protocol.FactElapsed)
	if attempts != "6" || elapsed != "3.1s" {
		t.Errorf("facts: attempts=%s elapsed=%s, want 6 and 3.1s", attempts, elapsed)
	}
	if b.taken != 0 {
		t.Error("the batch was taken without the lock")
	}
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("a is %s, %v: it was written, or reads stopped", r.State, err)
	}
	var debug, warn int
	for _, line := range logged(t, buf) {
		switch line["level"] {
		case "debug":
			if debug++; line["attempt"] != float64(debug) || line["delay"] == nil || line["error"] == nil {
				t.Errorf("retry %d is logged as %v", debug, line)
			}
		case "warn":
			if warn++; line["attempt"] != 6.0 || line["op"] != "apply" || line["elapsed"] != 3100.0 {
				t.Errorf("giving up is logged as %v", line)
			}
		}
	}
	if debug != 5 || warn != 1 {
		t.Errorf("%d debug and %d warn lines, want 5 and 1:\n%s", debug, warn, buf)
	}
	if got := s.Info().LockGaveUp; got != 1 {
		t.Errorf("counted %d given up", got)
	}

	unlock()
	if r, err := apply1(t, s, save("a", "3")); err != nil || r.Revision != 2 {
		t.Errorf("after the lock: revision %d, %v; want 2, since nothing was written", r.Revision, err)
	}
}

func TestExponentialBackoffTiming(t *testing.T) {
	ms := func(n ...int) (d []time.Duration) {
		for _, n := range n {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for name, test := range map[string]struct {
		retry  store.Retry
		random float64
		want   []time.Duration
	}{
		"default, no jitter": {store.DefaultRetry(), 0.5, ms(100, 200, 400, 800, 1600)},
		"low end of jitter":  {store.DefaultRetry(), 0, ms(90, 180, 360, 720, 1440)},
		"capped":             {store.Retry{Max: 8, Base: 100 * time.Millisecond, MaxDelay: time.Second}, 0.9, ms(100, 200, 400, 800, 1000, 1000, 1000, 1000)},
		"base above cap":     {store.Retry{Max: 2, Base: time.Minute, MaxDelay: time.Second}, 0, ms(1000, 1000)},
		"all of it jitter":   {store.Retry{Max: 2, Base: time.Second, MaxDelay: time.Minute, Jitter: 1}, 0, ms(0, 0)},
		"no delay":           {store.Retry{Max: 2}, 0.5, ms(0, 0)},
		"no retry":           {store.Retry{Base: time.Second, MaxDelay: time.Second}, 0.5, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path, c := tempDB(t), &clock{}
			o := impatient()
			o.Retry = test.retry
			o.Retry.Random, o.Retry.Now, o.Retry.Sleep = func() float64 { return test.random }, c.Now, c.Sleep
			s := mustOpen(t, path, o)
			defer lock(t, mustOutsider(t, path))()
			_, err := s.Apply(t.Context(), batchOf(save("a", "1")))
			wantCode(t, err, protocol.CodeLocked)
			if fmt.Sprint(c.slept) != fmt.Sprint(test.want) {
				t.Errorf("slept %v, want %v", c.slept, test.want)
			}
		})
	}
	t.Run("high end of jitter", func(t *testing.T) {
		r := store.DefaultRetry()
		r.Random = func() float64 { return 1 - 1e-9 }
		for n, base := range ms(100, 200, 400, 800, 1600, 3200, 5000, 5000) {
			if got := r.Delay(n); got <= base || got > base*11/10 {
				t.Errorf("delay %d is %v, want just below 1.1 * %v", n, got, base)
			}
		}
	})
	t.Run("never overflows", func(t *testing.T) {
		r := store.Retry{Base: time.Second, MaxDelay: 24 * time.Hour}
		for n := range 200 {
			if got := r.Delay(n); got <= 0 || got > r.MaxDelay {
				t.Fatalf("delay %d is %v", n, got)
			}
		}
	})
}

func TestPassesThroughOtherErrors(t *testing.T) {
	for _, other := range []error{
		errors.New("database is locked"), // the text alone means nothing
		fmt.Errorf("database is locked: %w", store.DriverError(11, "database is locked")),
		store.DriverError(1, "no such table: agent_state"),
		store.DriverError(13, "database or disk is full"),
		store.DriverError(778, "disk I/O error"),
		store.DriverError(2067, "UNIQUE constraint failed"),
		context.Canceled,
	} {
		attempts := 0
		c := &clock{}
		retries, gaveUp, err := c.options().Retry.Do(t.Context(), zerolog.Nop(), func() error { attempts++; return other })
		if !errors.Is(err, other) || attempts != 1 || retries != 0 || gaveUp != 0 || len(c.slept) != 0 {
			t.Errorf("%v: %d attempts, %d retries, %v", other, attempts, retries, err)
		}
	}
	// And with the real driver: a table that is gone, and a constraint.
	path, c := tempDB(t), &clock{}
	s := mustOpenUnchecked(t, path, c.options())
	outside := mustOutsider(t, path)
	mustExec(t, outside, "CREATE UNIQUE INDEX once ON agent_state (state_json)")
	replies := mustApply(t, s, save("a", "1"), save("b", "1"))
	wantCode(t, replies[1].Err, protocol.CodeInvalid)
	mustExec(t, outside, "DROP TABLE agent_state")
	if _, err := s.Apply(t.Context(), batchOf(save("a", "1"))); err == nil || errors.Is(err, protocol.CodeLocked) {
		t.Errorf("without the table: %v", err)
	}
	if len(c.slept) != 0 {
		t.Errorf("slept %v", c.slept)
	}
}

// TestRetry_EndsWithItsContext: an ended wait for a lock is LOCKED at a deadline, and still known as the deadline's.
func TestRetry_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		_, _, err := store.Retry{Max: 9, Base: 100 * time.Millisecond, MaxDelay: time.Second}.Do(
			ctx, zerolog.Nop(), func() error { return errBusy })
		if !errors.Is(err, protocol.CodeLocked) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(250*time.Millisecond, cancel)
		_, _, err = store.Retry{Max: 9, Base: 100 * time.Millisecond, MaxDelay: time.Second}.Do(
			ctx, zerolog.Nop(), func() error { return errBusy })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}
