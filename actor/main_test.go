package actor_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
)

func TestMain(m *testing.M) {
	// As in a program, before the first file is opened.
	if _, err := sqlite.OFDLocking(true); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// hang bounds what would otherwise block for ever if the code were wrong; nothing is measured with it.
const hang = time.Minute

// fakeStore applies batches in memory. Each step of Commit can be held up by the test.
type fakeStore struct {
	// onApply, when it is set, is Commit; n counts the calls from 1. It may call the store's own apply.
	onApply func(ctx context.Context, n int, b protocol.Batch) ([]protocol.Reply, error)
	// onSync makes the batch durable that call n has committed. Without it, batches are durable when they are committed.
	onSync func(n int) error
	onRead func(ctx context.Context, op *protocol.Op) (protocol.Reply, error)

	mu       sync.Mutex
	calls    int
	batches  [][]string // ids, in order, of every batch that was applied
	revision int64
}

func (f *fakeStore) Commit(ctx context.Context, b protocol.Batch) (replies []protocol.Reply, sync func() error, err error) {
	f.mu.Lock()
	f.calls++
	n := f.calls
	f.mu.Unlock()
	if f.onApply != nil {
		replies, err = f.onApply(ctx, n, b)
	} else {
		replies = f.apply(b)
	}
	if f.onSync != nil && err == nil {
		sync = func() error { return f.onSync(n) }
	}
	return replies, sync, err
}

// apply takes the batch and applies it.
func (f *fakeStore) apply(b protocol.Batch) []protocol.Reply { return f.commit(b.Take()) }

func (f *fakeStore) commit(ops []*protocol.Op) []protocol.Reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	replies := make([]protocol.Reply, len(ops))
	for i, op := range ops {
		f.revision++
		ids = append(ids, op.ID())
		replies[i].Revision = f.revision
	}
	if len(ids) > 0 {
		f.batches = append(f.batches, ids)
	}
	return replies
}

func (f *fakeStore) Read(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	if f.onRead != nil {
		return f.onRead(ctx, op)
	}
	return protocol.Reply{}, protocol.NotFound(op.ID())
}

// applied gives the batches as text: "a | b c".
func (f *fakeStore) applied() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s []string
	for _, ids := range f.batches {
		s = append(s, strings.Join(ids, " "))
	}
	return strings.Join(s, " | ")
}

func (f *fakeStore) sizes() (sizes []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ids := range f.batches {
		sizes = append(sizes, len(ids))
	}
	return sizes
}

// gate makes a store whose Apply, each time, first reports on entered and waits for pass, then takes and applies.
func gate() (f *fakeStore, entered chan int, pass chan struct{}) {
	f, entered, pass = &fakeStore{}, make(chan int), make(chan struct{})
	f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
		entered <- n
		<-pass
		return f.apply(b), nil
	}
	return f, entered, pass
}

// takenGate is gate, but waits between taking the batch and applying it.
func takenGate() (f *fakeStore, taken chan int, pass chan struct{}) {
	f, taken, pass = &fakeStore{}, make(chan int), make(chan struct{})
	f.onApply = func(_ context.Context, n int, b protocol.Batch) ([]protocol.Reply, error) {
		ops := b.Take()
		taken <- n
		<-pass
		return f.commit(ops), nil
	}
	return f, taken, pass
}

func save(id string) protocol.Op { return saveBytes(id, 1) }

// saveBytes is a save whose state has n bytes.
func saveBytes(id string, n int) protocol.Op {
	op, err := protocol.Save(id, []byte(strings.Repeat("1", n)), protocol.Condition{})
	if err != nil {
		panic(err)
	}
	return op
}

// start hands a request over and gives the way to its reply.
func start(ctx context.Context, a *actor.Actor, op protocol.Op) (wait func() protocol.Reply) {
	r := protocol.NewRequest(op)
	a.Start(ctx, r)
	return func() protocol.Reply { return a.Wait(ctx, r) }
}

// async performs an operation on a goroutine of its own.
func async(ctx context.Context, a *actor.Actor, op protocol.Op) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := protocol.Do(ctx, a, op)
		done <- err
	}()
	return done
}

func mustClose(tb testing.TB, a *actor.Actor) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		tb.Errorf("close: %v", err)
	}
}

func wantCode(tb testing.TB, err error, want protocol.Code) {
	tb.Helper()
	if got := protocol.CodeOf(err); got != want {
		tb.Errorf("got %q (%v), want %q", got, err, want)
	}
	if _, ok := err.(*protocol.Error); err != nil && !ok { //nolint:errorlint // this is about the type itself
		tb.Errorf("a reply's error is a %T: %v", err, err)
	}
}

// wantRoom says that all of the mailbox's bytes are free: the one request that takes them all gets in. The mailbox
// must have at most 1 MiB.
func wantRoom(t *testing.T, a *actor.Actor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if _, err := protocol.Do(ctx, a, saveBytes("room", 1<<20)); err != nil {
		t.Errorf("the mailbox has lost room: %v", err)
	}
}

func ids(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("agent", i))
	}
	return ids
}
