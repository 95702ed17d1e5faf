//go:build system

package fault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the other program that makes checkpoints

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// The test binary is its own child, which strace watches, when these are set.
const (
	childFile       = "STATED_TEST_FAULT_FILE"
	childWorkers    = "STATED_TEST_FAULT_WORKERS" // 0 is one worker on one thread
	childDurability = "STATED_TEST_FAULT_DURABILITY"
)

// child runs a script on a file as a program that links the library, and prints what it is told.
func child(file string) int {
	guard := time.AfterFunc(harness.Patience/2, func() {
		say("hung")
		os.Exit(3)
	})
	defer guard.Stop()
	workers := 0
	_, _ = fmt.Sscan(os.Getenv(childWorkers), &workers) // not set is 0
	c := &program{file: file, options: harness.Settings(store.Options{
		Durability: store.Durability(os.Getenv(childDurability)), Readers: 2, WALBytes: 1 << 20,
	})}
	run := c.alone
	if workers == 0 {
		runtime.LockOSThread() // SQLite runs here, see the package's comment
	} else {
		run = func(ctx context.Context) error { return c.shared(ctx, workers) }
	}
	ctx := context.Background()
	err := c.open(ctx)
	if err == nil {
		err = run(ctx)
	}
	if err == nil {
		err = c.close(ctx)
	}
	if err != nil {
		say("failed " + err.Error())
		return 1
	}
	say("done")
	return 0
}

// say prints a line with one write, so that a line that is there is whole.
func say(line string) { _, _ = os.Stdout.WriteString(line + "\n") }

// program is what the child has open.
type program struct {
	file    string
	options store.Options
	store   *store.Store
	actor   *actor.Actor
}

// open opens the file, again after an error that may pass.
func (p *program) open(ctx context.Context) (err error) {
	for range tries {
		p.store, err = store.Open(ctx, p.file, p.options)
		if err == nil {
			say("open")
			return nil
		}
		say("open " + string(protocol.CodeOf(err)) + " " + err.Error())
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return err
}

func (p *program) close(ctx context.Context) error {
	if p.actor != nil {
		if err := p.actor.Close(ctx); err != nil {
			return err
		}
	}
	say("close")
	// A last checkpoint that fails is no failure of a change: the log stays.
	if err := p.store.Close(); err != nil {
		say("closed " + err.Error())
		return nil
	}
	say("closed")
	return nil
}

// alone does everything on this one thread.
func (p *program) alone(ctx context.Context) error {
	r := &runner{say: say, do: p.direct, between: func(s step) error {
		if s.kind == checkpoint {
			return p.checkpoint(ctx)
		}
		return errors.Join(p.close(ctx), p.open(ctx))
	}}
	return r.run(ctx, 0, aloneScript())
}

// direct performs an operation on the caller's own thread.
func (p *program) direct(ctx context.Context, op protocol.Op) (protocol.Reply, error) {
	if !op.Writes() {
		return p.store.Read(ctx, &op)
	}
	replies, err := p.store.Apply(ctx, batchOf{&op})
	if err != nil {
		return protocol.Reply{}, err
	}
	return replies[0], replies[0].Err
}

// batchOf is a batch of one operation.
type batchOf struct{ op *protocol.Op }

func (batchOf) Asking(int)             {}
func (b batchOf) Take() []*protocol.Op { return []*protocol.Op{b.op} }
func (batchOf) Release()               {}

// checkpoint is another program's: that it fails is its own business.
func (p *program) checkpoint(ctx context.Context) error {
	say("checkpoint")
	db, err := sql.Open("sqlite", p.file)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
		err = errors.Join(err, conn.Close())
	}
	if err = errors.Join(err, db.Close()); err != nil {
		say("checkpointed " + err.Error())
		return nil
	}
	say("checkpointed")
	return nil
}

// shared lets many workers go through the actor at once, with the file closed and opened again when they are half through.
func (p *program) shared(ctx context.Context, workers int) error {
	runners := make([]*runner, workers)
	for i := range workers {
		runners[i] = &runner{worker: i, say: say, do: func(ctx context.Context, op protocol.Op) (protocol.Reply, error) {
			return protocol.Do(ctx, p.actor, op)
		}}
	}
	for half := range 2 {
		if half == 1 {
			if err := errors.Join(p.close(ctx), p.open(ctx)); err != nil {
				return err
			}
		}
		p.actor = actor.New(p.store, actor.Options{})
		errs := make([]error, workers)
		var all sync.WaitGroup
		for i, r := range runners {
			all.Go(func() {
				steps := sharedScript(i)
				first := half * len(steps) / 2
				errs[i] = r.run(ctx, first, steps[first:(half+1)*len(steps)/2])
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}
