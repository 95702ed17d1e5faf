package harness_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// complaints is a test that remembers whether it was told of an error.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Helper()               {}
func (c *complaints) Errorf(string, ...any) { c.n++ }

func TestOutcomes(t *testing.T) {
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	var o harness.Outcomes
	for _, c := range []struct {
		name       string
		ctx        context.Context
		err        error
		complaints int
	}{
		{"applied", t.Context(), nil, 0},
		{"a conflict", t.Context(), protocol.CodeConflict, 1}, // a bare code is not what crosses the border
		{"a full conflict", t.Context(), protocol.Errorf(protocol.CodeConflict, "it changed"), 0},
		{"locked", t.Context(), protocol.Errorf(protocol.CodeLocked, "held"), 0},
		{"unknown", t.Context(), protocol.Errorf(protocol.CodeUnknown, "lost"), 0},
		{"a defect", t.Context(), protocol.Errorf(protocol.CodeInternal, "oops"), 1},
		{"an error of somebody else", t.Context(), errors.New("EOF"), 1},
		{"an hour late", late, protocol.Errorf(protocol.CodeLocked, "held"), 1},
	} {
		told := &complaints{TB: t}
		if o.Note(c.ctx, told, c.err); told.n != c.complaints {
			t.Errorf("%s: %d complaints, want %d", c.name, told.n, c.complaints)
		}
	}
	if n := o.Count(protocol.CodeLocked); n != 2 {
		t.Errorf("LOCKED was counted %d times", n)
	}
	const want = "1 applied, 2 conflicts, 4 not applied (INTERNAL 2, LOCKED 2), 1 unknown; longest wait past a deadline 1h"
	if !strings.HasPrefix(o.String(), want) {
		t.Errorf("the counts are %q, want %q", &o, want)
	}
}
