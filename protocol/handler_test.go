package protocol_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stated/stated/protocol"
)

// fake is a Handler that remembers its requests and gives one reply to all of them.
type fake struct {
	reply   protocol.Reply
	started []*protocol.Request
	waited  []*protocol.Request
	carried any // by the context of Start
}

func (f *fake) Start(ctx context.Context, r *protocol.Request) {
	f.carried, f.started = ctx.Value(key{}), append(f.started, r)
	r.Answer(f.reply)
}

func (f *fake) Wait(_ context.Context, r *protocol.Request) protocol.Reply {
	f.waited = append(f.waited, r)
	return <-r.Reply()
}

type key struct{}

func TestMethods(t *testing.T) {
	state := []byte("{}")
	txn := []protocol.Op{must(t)(protocol.Load("x")), must(t)(protocol.Load("y"))}
	for _, tt := range []struct {
		name string
		call func(context.Context, protocol.Methods) (protocol.Reply, error)
		kind protocol.Kind
		id   string
		cond protocol.Condition
	}{
		{"Save", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.Save(ctx, "a", state)
		}, protocol.KindSave, "a", protocol.Condition{}},
		{"SaveIf", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.SaveIf(ctx, "a", state, protocol.IfAbsent())
		}, protocol.KindSave, "a", protocol.IfAbsent()},
		{"Load", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.Load(ctx, "a")
		}, protocol.KindLoad, "a", protocol.Condition{}},
		{"Delete", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.Delete(ctx, "a")
		}, protocol.KindDelete, "a", protocol.Condition{}},
		{"DeleteIf", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.DeleteIf(ctx, "a", protocol.IfRevision(3))
		}, protocol.KindDelete, "a", protocol.IfRevision(3)},
		{"List", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.List(ctx, "p", "q", 5)
		}, protocol.KindList, "", protocol.Condition{}},
		{"Count", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			n, err := m.Count(ctx, "p")
			return protocol.Reply{Err: err, Revision: 7, Count: n}, err
		}, protocol.KindCount, "", protocol.Condition{}},
		{"Clear", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.Clear(ctx)
		}, protocol.KindClear, "", protocol.Condition{}},
		{"Txn", func(ctx context.Context, m protocol.Methods) (protocol.Reply, error) {
			return m.Txn(ctx, txn...)
		}, protocol.KindTxn, "", protocol.Condition{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.WithValue(t.Context(), key{}, tt.name)
			for _, failure := range []error{nil, protocol.NotFound("a")} {
				h := &fake{reply: protocol.Reply{Err: failure, Revision: 7, Count: 9}}
				reply, err := tt.call(ctx, protocol.Methods{Handler: h})
				if !errors.Is(err, failure) || !errors.Is(reply.Err, failure) || reply.Revision != 7 || reply.Count != 9 {
					t.Errorf("got %+v, %v; want what the handler replied", reply, err)
				}
				if len(h.started) != 1 || len(h.waited) != 1 || h.started[0] != h.waited[0] || h.carried != tt.name {
					t.Fatalf("the handler was started %d times and waited for %d times", len(h.started), len(h.waited))
				}
				op := h.started[0].Op()
				if op.Kind() != tt.kind || op.ID() != tt.id || op.Condition() != tt.cond {
					t.Errorf("the operation was %v %q if %v", op.Kind(), op.ID(), op.Condition())
				}
			}
		})
	}
}

func TestMethods_RefuseBeforeTheHandler(t *testing.T) {
	h := &fake{}
	m := protocol.Methods{Handler: h}
	ctx := t.Context()
	second := func(reply protocol.Reply, err error) error {
		if !errors.Is(reply.Err, protocol.CodeInvalid) {
			t.Errorf("the reply says %v and the error %v", reply.Err, err)
		}
		return err
	}
	_, count := m.Count(ctx, "\x00")
	for name, err := range map[string]error{
		"Save":     second(m.Save(ctx, "a", []byte("{"))),
		"SaveIf":   second(m.SaveIf(ctx, "", []byte("{}"), protocol.IfAbsent())),
		"Load":     second(m.Load(ctx, "")),
		"Delete":   second(m.Delete(ctx, "")),
		"DeleteIf": second(m.DeleteIf(ctx, "a", protocol.IfAbsent())),
		"List":     second(m.List(ctx, "", "", -1)),
		"Count":    count,
		"Txn":      second(m.Txn(ctx)),
	} {
		if !errors.Is(err, protocol.CodeInvalid) {
			t.Errorf("%s: %v, want INVALID", name, err)
		}
	}
	if len(h.started) != 0 {
		t.Errorf("%d requests reached the handler", len(h.started))
	}
}
