package store_test

import (
	"errors"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestHealth_Classes: what an error of a statement does to those who come after it.
func TestHealth_Classes(t *testing.T) {
	for _, test := range []struct {
		name  string
		code  int
		want  protocol.Code
		state store.State
		final bool
	}{
		{"disk full", 13, protocol.CodeFull, store.StateDegraded, false},
		{"write failed", 778, protocol.CodeIO, store.StateDegraded, false},
		{"read failed", 266, protocol.CodeIO, store.StateDegraded, false},
		{"no descriptor", 14, protocol.CodeIO, store.StateDegraded, false},
		{"no memory", 7, protocol.CodeIO, store.StateDegraded, false},
		{"read-only", 8, protocol.CodeReadOnly, store.StateDegraded, false},
		{"corrupt", 11, protocol.CodeCorrupt, store.StateFailed, true},
		{"corrupt index", 779, protocol.CodeCorrupt, store.StateFailed, true},
		{"not a database", 26, protocol.CodeCorrupt, store.StateFailed, true},
		{"checksums of the file system", 8458, protocol.CodeIO, store.StateDegraded, true},
		{"constraint", 19, "", store.StateOK, false},
		{"misuse", 21, protocol.CodeInternal, store.StateOK, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := mustOpen(t, tempDB(t), impatient())
			mustApply(t, s, save("a", "1"))
			s.FailSaves(store.DriverError(test.code, "it failed"), 1)
			b := batchOf(save("a", "2"), save("b", "2"))
			_, err := s.Apply(t.Context(), b)
			wantCode(t, err, test.want)
			if err != nil && (b.taken != 1 || b.release != 1) {
				t.Errorf("taken %d, released %d", b.taken, b.release)
			}
			if r, err := load(t, s, "a"); err != nil || r.Revision != 1 {
				t.Errorf("reading: %+v, %v", r, err)
			}
			switch {
			case test.state == store.StateOK:
				if got := s.Info().Health.State; got != store.StateOK {
					t.Errorf("the store is %s", got)
				}
			case test.final:
				wantRefused(t, s, test.want, test.state)
			default:
				mustRecover(t, s)
			}
			if !test.final {
				mustApply(t, s, save("c", "1"))
			}
		})
	}
}

// wantRefused expects changes to be refused without being begun.
func wantRefused(t *testing.T, s *store.Store, code protocol.Code, state store.State) {
	t.Helper()
	for range 3 {
		b := batchOf(save("refused", "1"))
		_, err := s.Apply(t.Context(), b)
		wantCode(t, err, code)
		mustBeTyped(t, err)
		if b.taken != 0 || b.asked != 0 {
			t.Error("a batch was begun")
		}
	}
	if h := s.Info().Health; h.State != state || h.Code != code || h.Reason == "" || h.Since.IsZero() {
		t.Errorf("%+v", h)
	}
}

// TestHealth_Probe: while the disk stays full, changes are refused without a try; when it has room again the store finds
// out by itself.
func TestHealth_Probe(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	mustApply(t, s, save("a", "1"))
	full := store.DriverError(13, "database or disk is full")
	s.FailSaves(full, 1)
	s.FailProbes(full)
	_, err := s.Apply(t.Context(), batchOf(save("a", "2")))
	wantCode(t, err, protocol.CodeFull)
	wantRefused(t, s, protocol.CodeFull, store.StateDegraded)
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "1" {
		t.Errorf("reading: %+v, %v", r, err)
	}
	s.FailProbes(nil)
	mustRecover(t, s)
	if h := s.Info().Health; h.Code != "" || h.Reason != "" {
		t.Errorf("%+v", h)
	}
	if r, err := apply1(t, s, save("a", "3")); err != nil || r.Revision != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestHealth_DamageFoundByReader: a reader that meets damage stops the changes, and other reads go on.
func TestHealth_DamageFoundByReader(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	mustApply(t, s, save("a", "1"))
	if err := s.JudgeRead(store.DriverError(11, "malformed")); resultCode(err) != 11 {
		t.Error(err)
	}
	eventually(t, "the store has failed", func() bool { return s.Info().Health.State == store.StateFailed })
	wantRefused(t, s, protocol.CodeCorrupt, store.StateFailed)
	if _, err := load(t, s, "a"); err != nil {
		t.Error(err)
	}
}

// TestHealth_RowDamage: a single row that does not fit its checksum is its reader's business alone.
func TestHealth_RowDamage(t *testing.T) {
	s := mustOpen(t, tempDB(t), impatient())
	if err := s.JudgeRead(protocol.Errorf(protocol.CodeCorrupt, "a row")); !errors.Is(err, protocol.CodeCorrupt) {
		t.Error(err)
	}
	mustApply(t, s, save("a", "1"))
	if got := s.Info().Health.State; got != store.StateOK {
		t.Errorf("the store is %s", got)
	}
}

func resultCode(err error) int { return store.ResultCode(err) }
