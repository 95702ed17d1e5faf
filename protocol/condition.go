package protocol

import "fmt"

type condKind uint8

const (
	condNone condKind = iota
	condAbsent
	condExists
	condRevision
)

// Condition is what has to hold for an operation to be applied. The zero value always holds.
type Condition struct {
	kind     condKind
	revision int64
}

// IfAbsent holds when there is no such agent.
func IfAbsent() Condition { return Condition{kind: condAbsent} }

// IfExists holds when there is such an agent.
func IfExists() Condition { return Condition{kind: condExists} }

// IfRevision holds when the agent exists and its last change has this revision. Revisions start at 1.
func IfRevision(revision int64) Condition {
	return Condition{kind: condRevision, revision: revision}
}

// None reports whether the condition is the zero value, which always holds.
func (c Condition) None() bool { return c.kind == condNone }

// Absent reports whether the condition is [IfAbsent].
func (c Condition) Absent() bool { return c.kind == condAbsent }

// Exists reports whether the condition is [IfExists].
func (c Condition) Exists() bool { return c.kind == condExists }

// Revision gives the revision of an [IfRevision] condition.
func (c Condition) Revision() (int64, bool) { return c.revision, c.kind == condRevision }

// Holds reports whether the condition holds for an agent of this revision; 0 means that there is none.
func (c Condition) Holds(current int64) bool {
	switch c.kind {
	case condAbsent:
		return current == 0
	case condExists:
		return current != 0
	case condRevision:
		return current == c.revision
	default:
		return true
	}
}

// String gives the condition as people say it.
func (c Condition) String() string {
	switch c.kind {
	case condAbsent:
		return "absent"
	case condExists:
		return "exists"
	case condRevision:
		return fmt.Sprintf("revision %d", c.revision)
	default:
		return "none"
	}
}

func (c Condition) validate() error {
	if c.kind == condRevision && c.revision < 1 {
		return Errorf(CodeInvalid, "revision %d is out of range: revisions start at 1", c.revision)
	}
	return nil
}
