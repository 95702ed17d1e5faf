package httpapi_test

import (
	"context"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
)

// echo answers each operation of a transaction with the state that it saves.
type echo struct{ got chan protocol.Op }

func (e echo) Start(_ context.Context, r *protocol.Request) {
	e.got <- *r.Op()
	var all protocol.Reply
	for _, op := range r.Op().Ops() {
		all.Replies = append(all.Replies, protocol.Reply{Found: true, Revision: 1, State: op.State(), Bytes: int64(len(op.State()))})
	}
	r.Answer(all)
}

func (echo) Wait(_ context.Context, r *protocol.Request) protocol.Reply { return <-r.Reply() }

// The blanks around a state pass through a transaction, both ways, and so does everything in it.
func TestTransaction_bytes(t *testing.T) {
	h := echo{make(chan protocol.Op, 1)}
	s := httpapi.New(h, httpapi.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	})
	c := dialClient(t, "http://"+l.Addr().String(), httpapi.ClientOptions{})
	for _, state := range []string{
		"1", " 1", "1\n", "\r\n\t { \"a\" : [ ] }\t", " \"\\ud800 \\u0000 \\\\ \\\" \u2028 \ufffd <&>\" ", "\"\\ud800\"", " 123456789012345678901234567890e-400 ",
	} {
		ops := []protocol.Op{saveOp("a", state), saveOp("b", "{}"), saveOp("c", state)}
		if _, err := c.Txn(t.Context(), ops...); err != nil {
			t.Errorf("%q: %v", state, err)
			continue
		}
		got := <-h.got
		for i, op := range got.Ops() {
			if diff := cmp.Diff(string(ops[i].State()), string(op.State())); diff != "" {
				t.Errorf("%q, operation %d: (-sent +got)\n%s", state, i, diff)
			}
		}
	}
}
