package conformance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stated/stated/protocol"
)

// order says that what one goroutine starts, one behind the other, is applied in that order, also when it does not wait
// in between.
func order(s *suite) {
	const n = 100
	requests := make([]*protocol.Request, n)
	for i := range requests {
		op := saveOp("a", strconv.Itoa(i))
		switch i % 5 {
		case 3:
			op = deleteOp("a")
		case 4:
			op = must(protocol.Txn(saveIf("a", strconv.Itoa(i), protocol.IfAbsent()), loadOp("a")))
		}
		requests[i] = protocol.NewRequest(op)
		s.Handler.Start(s.ctx, requests[i])
	}
	for i, r := range requests {
		reply := s.Handler.Wait(s.ctx, r)
		if reply.Err != nil {
			s.Fatalf("%d: %v", i, reply.Err)
		}
		revision := reply.Revision
		if len(reply.Replies) > 0 {
			revision = reply.Replies[0].Revision
		}
		if revision != int64(i+1) {
			s.Fatalf("%d took revision %d", i, revision)
		}
	}
	s.same("the last one", protocol.Reply{Found: true, Revision: n, State: []byte("99"), Bytes: 2}, s.do(loadOp("a")))
}

// increments loses none, of many goroutines that load, add one, and save if nobody else has meanwhile.
func increments(s *suite) {
	const workers, each = 6, 12
	s.save("n", `0`)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for done := 0; done < each; {
				reply, err := s.Load(s.ctx, "n")
				if err != nil {
					s.Errorf("load: %v", err)
					return
				}
				n, _ := strconv.Atoi(string(reply.State))
				_, err = s.SaveIf(s.ctx, "n", []byte(strconv.Itoa(n+1)), protocol.IfRevision(reply.Revision))
				switch now, _ := protocol.CurrentRevision(err); {
				case err == nil:
					done++
				case !errors.Is(err, protocol.CodeConflict) || now <= reply.Revision:
					s.Errorf("save if revision %d: %v", reply.Revision, err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := string(s.do(loadOp("n")).State); got != strconv.Itoa(workers*each) {
		s.Errorf("counted to %s, want %d", got, workers*each)
	}
}

// oneCreates says that one of many wins, and what the others are told.
func oneCreates(s *suite) {
	for round := range 5 {
		id := fmt.Sprint("agent-", round)
		var all sync.WaitGroup
		var won, winner atomic.Int64
		told := make(chan int64, 8)
		for i := range cap(told) {
			all.Go(func() {
				reply, err := s.SaveIf(s.ctx, id, []byte(strconv.Itoa(i)), protocol.IfAbsent())
				if err == nil {
					won.Add(1)
					winner.Store(reply.Revision)
					return
				}
				now, ok := protocol.CurrentRevision(err)
				if !ok || !errors.Is(err, protocol.CodeConflict) {
					s.Errorf("got %v", err)
				}
				told <- now
			})
		}
		all.Wait()
		close(told)
		if won.Load() != 1 {
			s.Fatalf("%d have created %s", won.Load(), id)
		}
		for now := range told {
			if now != winner.Load() {
				s.Errorf("told revision %d, want %d", now, winner.Load())
			}
		}
	}
}

// wholeTransactions moves one from one agent to another, and back, while others look: the sum is always the same.
func wholeTransactions(s *suite) {
	s.txn(saveOp("a", `1`), saveOp("b", `0`))
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				reply, err := s.Txn(s.ctx, loadOp("a"), loadOp("b"))
				if err != nil || string(reply.Replies[0].State)+string(reply.Replies[1].State) != "10" &&
					string(reply.Replies[0].State)+string(reply.Replies[1].State) != "01" {
					s.Errorf("saw %+v, %v", reply.Replies, err)
					return
				}
			}
		})
	}
	for i := range 2 {
		writers.Go(func() {
			for n := range 20 {
				x, y := "0", "1"
				if (n+i)%2 == 0 {
					x, y = y, x
				}
				if _, err := s.Txn(s.ctx, saveOp("a", x), saveOp("b", y)); err != nil {
					s.Errorf("txn: %v", err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// contexts that have ended let nothing happen, and the error says which end it was.
func contexts(s *suite) {
	canceled, cancel := context.WithCancel(s.ctx)
	cancel()
	late, stop := context.WithDeadline(s.ctx, time.Unix(0, 0))
	defer stop()
	for range 10 { // some ways to an end are taken by chance
		for _, op := range everyOp() {
			for ctx, want := range map[context.Context]protocol.Code{canceled: protocol.CodeCanceled, late: protocol.CodeOverloaded} {
				r := protocol.NewRequest(op)
				s.Handler.Start(ctx, r)
				s.same("what comes behind it", protocol.Reply{}, s.do(must(protocol.Count(""))))
				if err := s.Handler.Wait(ctx, r).Err; !errors.Is(err, want) || !errors.Is(err, ctx.Err()) {
					s.Errorf("%s: got %v, want %s", op.Kind(), err, want)
				}
			}
		}
	}
	s.same("the first revision", protocol.Reply{Revision: 1}, s.do(saveOp("a", `1`)))
}

// everyOp has one of each kind that can travel.
func everyOp() []protocol.Op {
	return []protocol.Op{
		saveOp("a", `1`), deleteOp("a"), protocol.Clear(), must(protocol.Txn(saveOp("a", `1`))), must(protocol.Txn(loadOp("a"))),
		loadOp("a"), statOp("a"), must(protocol.List("", "", 0)), must(protocol.Count("")),
	}
}

// left is for a request whose caller has left before it is started: it never happens.
func left(s *suite) {
	r := protocol.NewRequest(saveOp("a", `1`))
	if !r.Leave() {
		s.Fatal("it was not left")
	}
	s.Handler.Start(s.ctx, r)
	s.same("what comes behind it", protocol.Reply{Revision: 1}, s.do(saveOp("b", `1`)))
	s.wantError(loadOp("a"), protocol.CodeNotFound)
}

func closed(s *suite) {
	s.save("a", `1`)
	s.fixture.Close()
	s.allUnavailable()
	s.fixture.Close()
	s.allUnavailable()
}

func stopped(s *suite) {
	s.save("a", `1`)
	s.fixture.Stop()
	s.allUnavailable()
}

func (s *suite) allUnavailable() {
	s.Helper()
	for _, op := range everyOp() {
		s.wantError(op, protocol.CodeUnavailable)
	}
}
