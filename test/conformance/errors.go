package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stated/stated/protocol"
)

// canned is a handler that answers what it is told to.
type canned struct {
	mu    sync.Mutex
	reply func(op *protocol.Op) protocol.Reply
}

func (c *canned) set(reply protocol.Reply) {
	c.answer(func(*protocol.Op) protocol.Reply { return reply })
}

func (c *canned) answer(reply func(op *protocol.Op) protocol.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reply = reply
}

func (c *canned) Start(_ context.Context, r *protocol.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Take() {
		r.Answer(c.reply(r.Op()))
	}
}

func (c *canned) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	select {
	case reply := <-r.Reply():
		return reply
	case <-ctx.Done():
		return protocol.Reply{Err: protocol.AsError(ctx.Err())}
	}
}

// RunErrors says that every error, and every reply that a store seldom gives, passes through a client and a server.
// front puts both in front of a handler.
func RunErrors(t *testing.T, front func(tb testing.TB, h protocol.Handler) protocol.Handler) {
	t.Run("Errors", func(t *testing.T) { t.Parallel(); eachError(t, front) })
	t.Run("RareReplies", func(t *testing.T) { t.Parallel(); rareReplies(t, front) })
}

// manyFacts are all that there are, for an error of a transaction's operation.
var manyFacts = []protocol.Fact{
	{Key: protocol.FactElapsed, Value: "20.304s"}, {Key: protocol.FactAttempts, Value: "6"}, {Key: protocol.FactTooLarge, Value: "1"},
	{Key: protocol.FactCurrentRevision, Value: "9223372036854775807"}, {Key: protocol.FactIndex, Value: "0"},
	{Key: protocol.FactOffset, Value: "0"}, {Key: protocol.FactOwner, Value: "4242"},
}

func eachError(t *testing.T, front func(tb testing.TB, h protocol.Handler) protocol.Handler) {
	behind := &canned{}
	h := front(t, behind)
	ops := []protocol.Op{
		saveOp("a", `1`), deleteOp("a"), loadOp("a"), statOp("a"), must(protocol.List("", "", 0)), must(protocol.Count("")), protocol.Clear(),
		must(protocol.Txn(saveOp("a", `1`), loadOp("b"))), must(protocol.Txn(loadOp("a"))),
	}
	messages := []string{"", "some words", "index=7 is no fact", "two\r\nlines \x00 é \u2028 \"quoted\" <&>", strings.Repeat("long ", 1_000)}
	for _, code := range protocol.Codes() {
		for _, facts := range [][]protocol.Fact{nil, manyFacts[:1], manyFacts} {
			if code == protocol.CodeNotFound && facts != nil {
				continue // not to find an agent is an ordinary answer, which has no room for facts
			}
			for i, op := range ops {
				if code == protocol.CodeNotFound && op.Kind() != protocol.KindLoad && op.Kind() != protocol.KindStat {
					continue // a delete that finds nothing is no error, and the others do not look for one agent
				}
				message := messages[i%len(messages)]
				behind.set(protocol.Reply{Err: &protocol.Error{Code: code, Message: message, Facts: facts}})
				wantPassed(t, h, op, &protocol.Error{Code: code, Message: message, Facts: facts})
			}
		}
	}
	behind.set(protocol.Reply{Err: fmt.Errorf("an error from outside the vocabulary: %w", context.Canceled)})
	wantPassed(t, h, ops[0], &protocol.Error{Code: protocol.CodeCanceled})
	behind.set(protocol.Reply{Err: errors.New("secret: /etc/shadow")})
	wantPassed(t, h, ops[0], &protocol.Error{Code: protocol.CodeInternal})
}

// wantPassed compares all but the message, which is for people, and may be spelled as the front end has to.
func wantPassed(t *testing.T, h protocol.Handler, op protocol.Op, want *protocol.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	_, err := protocol.Do(ctx, h, op)
	var got *protocol.Error
	switch {
	case !errors.As(err, &got) || got.Code != want.Code || got.Code.Outcome() != want.Code.Outcome():
		t.Errorf("%s: got %v, want %s", op.Kind(), err, want.Code)
	case strings.Contains(got.Message, "secret"):
		t.Errorf("%s: gives away %v", op.Kind(), err)
	default:
		if diff := cmp.Diff(want.Facts, got.Facts, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s %.60q: facts (-want +got)\n%s", op.Kind(), want.Code, want.Message, diff)
		}
	}
}

// rareReplies are of files into which others have written what stated does not: no time, or a time long ago.
func rareReplies(t *testing.T, front func(tb testing.TB, h protocol.Handler) protocol.Handler) {
	behind := &canned{}
	h := front(t, behind)
	old := time.UnixMilli(-62_135_596_799_999).UTC() // the first millisecond of the year 1
	far := time.UnixMilli(253_402_300_799_999).UTC() // the last one of the year 9999
	const most = 1<<63 - 1
	record := func(at time.Time) protocol.Reply {
		return protocol.Reply{Found: true, Revision: most, UpdatedAt: at, State: []byte("1"), Bytes: 1}
	}
	stat := protocol.Reply{Found: true, Revision: 1, Bytes: 1 << 40}
	for _, c := range []struct {
		op    protocol.Op
		reply protocol.Reply
	}{
		{loadOp("a"), record(time.Time{})},
		{loadOp("a"), record(old)},
		{loadOp("a"), record(far)},
		{statOp("a"), stat},
		{saveOp("a", `1`), protocol.Reply{Revision: most, UpdatedAt: far}},
		{must(protocol.Count("")), protocol.Reply{Count: most}},
		{protocol.Clear(), protocol.Reply{Count: most, Revision: most}},
		{must(protocol.List("", "", 2)), protocol.Reply{Next: "b", Entries: []protocol.Entry{
			{ID: "a", Revision: 1}, {ID: "b", Revision: most, UpdatedAt: old, Bytes: 1 << 40},
		}}},
		{must(protocol.Txn(loadOp("a"), loadOp("a"), statOp("a"), saveOp("a", `1`))), protocol.Reply{Replies: []protocol.Reply{
			record(time.Time{}), record(old), stat, {Revision: most, UpdatedAt: far},
		}}},
	} {
		behind.set(c.reply)
		if c.op.Kind() == protocol.KindList { // some clients ask for one more than they need
			behind.answer(func(op *protocol.Op) protocol.Reply {
				page := append(slices.Clone(c.reply.Entries), protocol.Entry{ID: "c", Revision: 1})[:op.Limit()]
				return protocol.Reply{Entries: page, Next: page[len(page)-1].ID}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), guard)
		reply, err := protocol.Do(ctx, h, c.op)
		cancel()
		if err != nil {
			t.Errorf("%s: %v", c.op.Kind(), err)
			continue
		}
		if diff := cmp.Diff(c.reply, reply, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.op.Kind(), diff)
		}
	}
}
