package protocol_test

import (
	"testing"

	"github.com/stated/stated/protocol"
)

func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		name          string
		cond          protocol.Condition
		holds         [3]bool // for an agent that does not exist, of revision 1, of revision 7
		none, absent  bool
		exists, isRev bool
	}{
		{"none", protocol.Condition{}, [3]bool{true, true, true}, true, false, false, false},
		{"absent", protocol.IfAbsent(), [3]bool{true, false, false}, false, true, false, false},
		{"exists", protocol.IfExists(), [3]bool{false, true, true}, false, false, true, false},
		{"revision 7", protocol.IfRevision(7), [3]bool{false, false, true}, false, false, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := [3]bool{tt.cond.Holds(0), tt.cond.Holds(1), tt.cond.Holds(7)}
			if got != tt.holds {
				t.Errorf("holds %v, want %v", got, tt.holds)
			}
			if tt.cond.String() != tt.name {
				t.Errorf("String() = %q, want %q", tt.cond, tt.name)
			}
			revision, isRev := tt.cond.Revision()
			if isRev != tt.isRev || (isRev && revision != 7) {
				t.Errorf("Revision() = %d, %v", revision, isRev)
			}
			if tt.cond.None() != tt.none || tt.cond.Absent() != tt.absent || tt.cond.Exists() != tt.exists {
				t.Errorf("None, Absent, Exists = %v, %v, %v", tt.cond.None(), tt.cond.Absent(), tt.cond.Exists())
			}
		})
	}
}
