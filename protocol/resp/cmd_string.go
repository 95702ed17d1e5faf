package resp

import (
	"fmt"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

func stringCommands() []spec {
	const family, read, write = "string", auth.RoleRead, auth.RoleWrite
	key := [3]int{1, 1, 1}
	return []spec{
		{
			name: "get", arity: 2, flags: flagRead | flagFast | flagMulti, role: read, family: family, keys: key, plan: planGet,
			args: "id", summary: "Gives the state of an agent.", reply: "the state, or nil",
		},
		{
			name: "set", arity: -3, flags: flagWrite | flagMulti, role: write, family: family, keys: key, plan: planSet,
			args: "id json [NX | XX] [GET]", summary: "Saves the state of an agent.",
			reply: "OK, or nil if NX or XX does not hold; with GET the state before, or nil",
		},
		{
			name: "getset", arity: 3, flags: flagWrite | flagFast | flagMulti, role: write, family: family, keys: key, plan: planGetSet,
			args: "id json", summary: "Saves the state of an agent and gives the one before.", reply: "the state before, or nil",
		},
		{
			name: "setnx", arity: 3, flags: flagWrite | flagFast | flagMulti, role: write, family: family, keys: key, plan: planSetNX,
			args: "id json", summary: "Saves the state of an agent that does not exist yet.", reply: "1, or 0 if it exists",
		},
		{
			name: "strlen", arity: 2, flags: flagRead | flagFast | flagMulti, role: read, family: family, keys: key, plan: planStrlen,
			args: "id", summary: "Gives the number of bytes of a state.", reply: "an integer; 0 if there is no such agent",
		},
	}
}

func planGet(args [][]byte, _ bool) (*plan, error) {
	op, err := protocol.Load(string(args[1]))
	return planOne(op, err, stateOrNull)
}

func stateOrNull(o *output, r protocol.Reply) {
	if !r.Found {
		o.null()
		return
	}
	o.bulk(r.State)
}

func planSet(args [][]byte, _ bool) (*plan, error) {
	cond, get, err := setOptions(args[3:])
	if err != nil {
		return nil, err
	}
	if get {
		return planSwap(args[1], args[2], cond)
	}
	return planSave(args[1], args[2], cond, func(o *output, r protocol.Reply) {
		if r.Skipped {
			o.null()
			return
		}
		o.ok()
	})
}

func setOptions(words [][]byte) (cond protocol.Condition, get bool, err error) {
	for _, w := range words {
		switch {
		case is(w, "GET"):
			get = true
		case is(w, "NX") && !cond.Exists():
			cond = protocol.IfAbsent()
		case is(w, "XX") && !cond.Absent():
			cond = protocol.IfExists()
		case is(w, "NX"), is(w, "XX"):
			return cond, false, errSyntax
		default:
			return cond, false, redisError(fmt.Sprintf("%s: SET takes NX, XX and GET here, not '%.32s'", errSyntax, w))
		}
	}
	return cond, get, nil
}

// planSave saves under a condition that, in Redis's way, is no error when it does not hold.
func planSave(id, state []byte, cond protocol.Condition, render func(*output, protocol.Reply)) (*plan, error) {
	op, err := protocol.Save(string(id), state, cond)
	if !cond.None() {
		op = op.OrSkip()
	}
	return planOne(op, err, render)
}

// planSwap saves a state and answers the one before.
func planSwap(id, state []byte, cond protocol.Condition) (*plan, error) {
	load, err := protocol.Load(string(id))
	if err != nil {
		return nil, err
	}
	save, err := protocol.Save(string(id), state, cond)
	if err != nil {
		return nil, err
	}
	if !cond.None() {
		save = save.OrSkip()
	}
	return &plan{
		ops:    []protocol.Op{load, save},
		render: func(o *output, replies []protocol.Reply) { stateOrNull(o, replies[0]) },
	}, nil
}

func planGetSet(args [][]byte, _ bool) (*plan, error) {
	return planSwap(args[1], args[2], protocol.Condition{})
}

func planSetNX(args [][]byte, _ bool) (*plan, error) {
	return planSave(args[1], args[2], protocol.IfAbsent(), func(o *output, r protocol.Reply) { o.bool(!r.Skipped) })
}

func planStrlen(args [][]byte, _ bool) (*plan, error) {
	op, err := protocol.Stat(string(args[1]))
	return planOne(op, err, func(o *output, r protocol.Reply) { o.int(r.Bytes) })
}
