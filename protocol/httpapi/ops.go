package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stated/stated/protocol"
)

// This file reads the JSON of a transaction. It goes member by member, since a decoder into structs would take fields in
// any case and twice, and half of a character.

// readOps gives the operations of {"ops":[…]}.
func readOps(body []byte) ([]protocol.Op, error) {
	if err := protocol.ValidateBody(body); err != nil {
		return nil, err
	}
	object, _ := cut(body)
	list := json.RawMessage(nil)
	err := eachMember(object, func(name string, value json.RawMessage) error {
		if name != "ops" {
			return fmt.Errorf("there is no field %.64q: want ops", name)
		}
		list = value
		return nil
	})
	if err != nil {
		return nil, invalid("the body: %v", err)
	}
	if list == nil {
		return nil, invalid("the body has no ops: want {\"ops\":[…]}")
	}
	n, items := 0, make([]json.RawMessage, 0, 16)
	isList := eachItem(list, func(item json.RawMessage) {
		if n++; n <= protocol.MaxTxnOps {
			items = append(items, item)
		}
	})
	switch {
	case !isList:
		return nil, invalid("ops is not a list")
	case n > protocol.MaxTxnOps:
		return nil, invalid("the transaction has %d operations, at most %d are allowed", n, protocol.MaxTxnOps)
	}
	ops := make([]protocol.Op, len(items))
	for i, item := range items {
		if ops[i], err = readOp(item); err != nil {
			return nil, inOp(i, err)
		}
	}
	return ops, nil
}

func invalid(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeInvalid, format, args...)
}

// inOp says which operation an error is about.
func inOp(i int, err error) error {
	var known *protocol.Error
	if !errors.As(err, &known) {
		return invalid("operation %d: %v", i, err)
	}
	e := *known
	e.Message = fmt.Sprintf("operation %d: %s", i, e.Message)
	return &e
}

// opJSON is one operation as it came; nil is a field that is not there.
type opJSON struct {
	op, id, cond *string
	state        json.RawMessage
	text         *string // the state, as a JSON text that holds its bytes
	revision     *int64
}

func readOp(item json.RawMessage) (protocol.Op, error) {
	var o opJSON
	if err := eachMember(item, o.set); err != nil {
		return protocol.Op{}, err
	}
	switch {
	case o.op == nil:
		return protocol.Op{}, errors.New("has no field op: want save, delete, load, stat or check")
	case !slices.Contains([]string{"save", "delete", "load", "stat", "check"}, *o.op):
		return protocol.Op{}, fmt.Errorf("op is %.32q: want save, delete, load, stat or check", *o.op)
	case o.id == nil:
		return protocol.Op{}, errors.New("has no field agent_id")
	case (o.state != nil || o.text != nil) && *o.op != "save":
		return protocol.Op{}, fmt.Errorf("%.32q takes no state", *o.op)
	case o.state != nil && o.text != nil:
		return protocol.Op{}, errors.New("has state and state_text: want one of them")
	case (o.cond != nil || o.revision != nil) && (*o.op == "load" || *o.op == "stat"):
		return protocol.Op{}, fmt.Errorf("%q takes no condition", *o.op)
	}
	cond, err := o.condition()
	if err != nil {
		return protocol.Op{}, err
	}
	switch *o.op {
	case "save":
		if o.text != nil {
			o.state = []byte(*o.text)
		}
		if o.state == nil {
			return protocol.Op{}, errors.New("has no field state")
		}
		return protocol.Save(*o.id, o.state, cond)
	case "delete":
		return protocol.Delete(*o.id, cond)
	case "load":
		return protocol.Load(*o.id)
	case "stat":
		return protocol.Stat(*o.id)
	default:
		return protocol.Check(*o.id, cond)
	}
}

func (o *opJSON) set(name string, value json.RawMessage) (err error) {
	switch name {
	case "op":
		o.op, err = readText(name, value)
	case "agent_id":
		o.id, err = readText(name, value)
	case "if":
		o.cond, err = readText(name, value)
	case "if_revision":
		var n int64
		if json.Unmarshal(value, &n) != nil || value[0] == 'n' {
			return fmt.Errorf("if_revision is %.32s: want a whole number", value)
		}
		o.revision = &n
	case "state":
		o.state = value
	case "state_text":
		o.text, err = readText(name, value)
	default:
		return fmt.Errorf("there is no field %.64q: want op, agent_id, state, state_text, if, if_revision", name)
	}
	return err
}

func (o *opJSON) condition() (protocol.Condition, error) {
	switch {
	case o.cond != nil && o.revision != nil:
		return protocol.Condition{}, errors.New("has if and if_revision: want one of them")
	case o.revision != nil:
		return protocol.IfRevision(*o.revision), nil
	case o.cond == nil:
		return protocol.Condition{}, nil
	case *o.cond == "absent":
		return protocol.IfAbsent(), nil
	case *o.cond == "exists":
		return protocol.IfExists(), nil
	}
	return protocol.Condition{}, fmt.Errorf("if is %.32q: want absent or exists, or if_revision with a number", *o.cond)
}

// readText gives a JSON text. The decoder puts a replacement character where half of a surrogate pair is escaped;
// that would name another agent.
func readText(name string, value json.RawMessage) (*string, error) {
	var text *string
	if json.Unmarshal(value, &text) != nil || text == nil {
		return nil, fmt.Errorf("%s is not a text", name)
	}
	if strings.Count(*text, string(utf8.RuneError)) != replacements(value) {
		return nil, fmt.Errorf("%s has an escape that is half of a character", name)
	}
	return text, nil
}

// replacements counts the replacement characters that a JSON text means to have.
func replacements(value json.RawMessage) int {
	n := bytes.Count(value, []byte(string(utf8.RuneError)))
	for i := 0; i+6 <= len(value); i++ {
		if value[i] != '\\' {
			continue
		}
		if value[i+1] == 'u' && strings.EqualFold(string(value[i+2:i+6]), "fffd") {
			n++
		}
		i++ // what follows a backslash is not another one
	}
	return n
}
