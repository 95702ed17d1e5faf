package actor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// open gives an actor on a new file, and what closes both.
func open() (*actor.Actor, func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "stated")
	if err != nil {
		panic(err)
	}
	s, err := store.Open(ctx, filepath.Join(dir, "agents.db"), store.Options{})
	if err != nil {
		panic(err)
	}
	a := actor.New(s, actor.Options{})
	return a, func() {
		if err := errors.Join(a.Close(ctx), s.Close(), os.RemoveAll(dir)); err != nil {
			panic(err)
		}
	}
}

func Example() {
	a, done := open()
	defer done()
	ctx := context.Background()

	saved, err := a.Save(ctx, "alice", []byte(`{"turn":1}`))
	if err != nil {
		panic(err)
	}
	loaded, err := a.Load(ctx, "alice")
	if err != nil {
		panic(err)
	}
	fmt.Printf("revision %d: %s\n", loaded.Revision, loaded.State)

	// Somebody else saves alice meanwhile, so the condition does not hold any more.
	_, _ = a.Save(ctx, "alice", []byte(`{"turn":2}`))
	_, err = a.SaveIf(ctx, "alice", []byte(`{"turn":9}`), protocol.IfRevision(saved.Revision))
	fmt.Println(err)
	// Output:
	// revision 1: {"turn":1}
	// CONFLICT current_revision=2: agent "alice" has revision 2, the condition was: revision 1
}

func ExampleUpdate() {
	a, done := open()
	defer done()
	ctx := context.Background()

	type agent struct{ Turns []string }
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			_, err := actor.Update(ctx, a, "alice", func(state *agent) error {
				state.Turns = append(state.Turns, "hello")
				return nil
			})
			if err != nil {
				panic(err)
			}
		})
	}
	workers.Wait()

	reply, err := a.Load(ctx, "alice")
	if err != nil {
		panic(err)
	}
	fmt.Println(reply.Revision, string(reply.State))
	// Output: 8 {"Turns":["hello","hello","hello","hello","hello","hello","hello","hello"]}
}

func ExampleActor_Requests() {
	a, done := open()
	defer done()
	ctx := context.Background()

	op, err := protocol.Save("alice", []byte(`{"turn":1}`), protocol.IfAbsent())
	if err != nil {
		panic(err)
	}
	request := protocol.NewRequest(op)
	select {
	case a.Requests() <- request:
	case <-a.Done():
		panic("the writer is gone")
	}
	fmt.Println("revision", a.Wait(ctx, request).Revision)
	// Output: revision 1
}

func ExampleActor_txn() {
	a, done := open()
	defer done()
	ctx := context.Background()

	pay, err := protocol.Save("alice", []byte(`{"coins":1}`), protocol.IfAbsent())
	if err != nil {
		panic(err)
	}
	get, err := protocol.Save("bob", []byte(`{"coins":2}`), protocol.IfExists())
	if err != nil {
		panic(err)
	}
	_, err = a.Txn(ctx, pay, get) // there is no bob, so alice is not saved either
	index, _ := protocol.ConflictIndex(err)
	fmt.Println(protocol.CodeOf(err), "at operation", index)
	n, _ := a.Count(ctx, "")
	fmt.Println(n, "agents")
	// Output:
	// CONFLICT at operation 1
	// 0 agents
}
