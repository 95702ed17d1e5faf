package resp

import (
	"fmt"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// manyCommands are those that take any number of agents.
func manyCommands() []spec {
	const (
		read, write = auth.RoleRead, auth.RoleWrite
		each        = "O(N) where N is the number of agents"
	)
	all, pairs := [3]int{1, -1, 1}, [3]int{1, -1, 2}
	return []spec{
		{
			name: "mget", arity: -2, flags: flagRead | flagFast | flagMany | flagMulti, role: read, family: "string", keys: all, plan: planMGet,
			args: "id [id ...]", summary: "Gives the states of several agents, all of one moment.",
			complexity: each, reply: "an array of states, nil for an agent that does not exist",
		},
		{
			name: "mset", arity: -3, flags: flagWrite | flagMany | flagMulti, role: write, family: "string", keys: pairs, plan: planMSet,
			args: "id json [id json ...]", summary: "Saves the states of several agents, all or none.", complexity: each, reply: "OK",
		},
		{
			name: "del", arity: -2, flags: flagWrite | flagMany | flagMulti, role: write, family: "generic", keys: all, plan: planDel,
			args: "id [id ...]", summary: "Deletes agents, all or none.", complexity: each, reply: "the number of agents that existed",
		},
		{
			name: "unlink", arity: -2, flags: flagWrite | flagFast | flagMany | flagMulti, role: write, family: "generic", keys: all, plan: planDel,
			args: "id [id ...]", summary: "Deletes agents, as DEL does.", complexity: each, reply: "the number of agents that existed",
		},
		{
			name: "exists", arity: -2, flags: flagRead | flagFast | flagMany | flagMulti, role: read, family: "generic", keys: all, plan: planExists,
			args: "id [id ...]", summary: "Counts which of the agents exist.", complexity: each,
			reply: "an integer; an id that is repeated is counted again",
		},
	}
}

// planEach makes a plan of one operation for each agent.
func planEach(ids [][]byte, op func(id string) (protocol.Op, error), render func(*output, []protocol.Reply)) (*plan, error) {
	p := &plan{ops: make([]protocol.Op, 0, len(ids)), render: render}
	for _, id := range ids {
		one, err := op(string(id))
		if err != nil {
			return nil, err
		}
		p.ops = append(p.ops, one)
	}
	return p, nil
}

func planMGet(args [][]byte, _ bool) (*plan, error) {
	return planEach(args[1:], protocol.Load, func(o *output, replies []protocol.Reply) {
		o.array(len(replies))
		for i := range replies {
			stateOrNull(o, replies[i])
		}
	})
}

func planMSet(args [][]byte, _ bool) (*plan, error) {
	if len(args)%2 == 0 {
		return nil, errArity("mset")
	}
	p := &plan{
		ops:    make([]protocol.Op, 0, len(args)/2),
		render: func(o *output, _ []protocol.Reply) { o.ok() },
	}
	for i := 1; i < len(args); i += 2 {
		op, err := protocol.Save(string(args[i]), args[i+1], protocol.Condition{})
		if err != nil {
			wrong := *protocol.AsError(err)
			wrong.Message = fmt.Sprintf("pair %d: %s", (i+1)/2, wrong.Message)
			return nil, &wrong
		}
		p.ops = append(p.ops, op)
	}
	return p, nil
}

func planDel(args [][]byte, _ bool) (*plan, error) {
	remove := func(id string) (protocol.Op, error) { return protocol.Delete(id, protocol.Condition{}) }
	return planEach(args[1:], remove, countFound)
}

func planExists(args [][]byte, _ bool) (*plan, error) {
	return planEach(args[1:], protocol.Stat, countFound)
}

func countFound(o *output, replies []protocol.Reply) {
	n := 0
	for i := range replies {
		if replies[i].Found {
			n++
		}
	}
	o.int(int64(n))
}
