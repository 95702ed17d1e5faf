//go:build system

package fault

import (
	"fmt"
	"strings"

	"github.com/stated/stated/protocol"
)

// step is one change of a script, or something that is done to the file between two of them.
type step struct {
	kind  stepKind
	id    string
	state string
	cond  condition
	parts []step // of a transaction
}

type stepKind int

const (
	put stepKind = iota
	drop
	clearAll
	txn
	checkpoint // by a connection that is not the store's, as another program does it
	reopen
)

type condition int

const (
	always    condition = iota
	ifCurrent           // it must be as the client knows it: of this revision, or not there
)

// changes reports whether the step is acknowledged, not one between changes.
func (s step) changes() bool { return s.kind != checkpoint && s.kind != reopen }

// op makes the operation. known has the revisions that the client has seen.
func (s step) op(known map[string]int64) (protocol.Op, error) {
	cond := protocol.Condition{}
	if revision := known[s.id]; s.cond == ifCurrent && revision > 0 {
		cond = protocol.IfRevision(revision)
	} else if s.cond == ifCurrent && s.kind == put {
		cond = protocol.IfAbsent()
	}
	switch s.kind {
	case put:
		return protocol.Save(s.id, []byte(s.state), cond)
	case drop:
		return protocol.Delete(s.id, cond)
	case clearAll:
		return protocol.Clear(), nil
	}
	var ops []protocol.Op
	for _, part := range s.parts {
		op, err := part.op(known)
		if err != nil {
			return protocol.Op{}, err
		}
		ops = append(ops, op)
	}
	return protocol.Txn(ops...)
}

// apply does the step to what the agents hold.
func (s step) apply(world map[string]string) {
	switch s.kind {
	case put:
		world[s.id] = s.state
	case drop:
		delete(world, s.id)
	case clearAll:
		clear(world)
	}
	for _, part := range s.parts {
		part.apply(world)
	}
}

// note enters the revisions of a reply. A deleted agent has 0.
func (s step) note(reply protocol.Reply, known map[string]int64) (revisions []int64) {
	switch s.kind {
	case put:
		known[s.id] = reply.Revision
	case drop:
		known[s.id] = 0
	case clearAll:
		clear(known)
	}
	if s.kind != txn {
		return []int64{reply.Revision}
	}
	for i, part := range s.parts {
		revisions = append(revisions, part.note(reply.Replies[i], known)...)
	}
	return revisions
}

// ids gives the agents that the step names.
func (s step) ids() []string {
	if s.kind != txn {
		return []string{s.id}
	}
	var ids []string
	for _, part := range s.parts {
		ids = append(ids, part.ids()...)
	}
	return ids
}

// script makes the steps of one worker, on agents of its own. No two states are alike, so that a state tells which
// step wrote it.
type script struct {
	worker int
	steps  []step
	states int
}

func (s *script) id(name string) string { return fmt.Sprintf("w%d-%s", s.worker, name) }

func (s *script) put(name string, bytes int, cond condition) step {
	s.states++
	state := fmt.Sprintf(`{"by":"w%d/%d","pad":%q}`, s.worker, s.states, strings.Repeat("x", bytes))
	return step{kind: put, id: s.id(name), state: state, cond: cond}
}

func (s *script) drop(name string, cond condition) step {
	return step{kind: drop, id: s.id(name), cond: cond}
}

func (s *script) add(steps ...step) { s.steps = append(s.steps, steps...) }

// aloneScript is that of one worker who has the file for itself: all kinds of changes, checkpoints before and after which
// something is written, and the end of the log.
func aloneScript() []step {
	s := &script{}
	s.add(
		s.put("a", 10, always), s.put("b", 6000, always), s.put("c", 10, ifCurrent), s.put("a", 10, ifCurrent),
		step{kind: txn, parts: []step{s.put("a", 10, always), s.drop("b", always), s.put("d", 5000, ifCurrent), s.put("c", 10, ifCurrent)}},
		step{kind: checkpoint},
		s.put("e", 9000, always), s.drop("c", always), s.put("a", 20, ifCurrent), s.drop("d", ifCurrent),
		step{kind: clearAll},
		s.put("f", 10, always),
		step{kind: reopen},
		step{kind: txn, parts: []step{s.put("g", 10, always), s.put("a", 10, ifCurrent), s.put("f", 4000, ifCurrent)}},
		s.put("f", 10, ifCurrent),
		step{kind: checkpoint},
		s.put("b", 10, ifCurrent), s.drop("a", always),
	)
	return s.steps
}

// sharedScript is that of one of many workers, each of whom has some agents.
func sharedScript(worker int) []step {
	const rounds = 8
	s := &script{worker: worker}
	for round := range rounds {
		s.add(
			s.put("a", 300, always), s.put("b", 3000+50*worker, always), s.put("a", 10, ifCurrent),
			step{kind: txn, parts: []step{s.put("a", 500, always), s.drop("b", always), s.put("c", 1000, always)}},
			s.put(fmt.Sprintf("n%d", round%7), 9000, always), s.drop("c", ifCurrent),
		)
	}
	return s.steps
}
