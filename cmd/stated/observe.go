package main

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/protocol"
)

// observed is a handler that counts and times its requests. A request is counted when its reply is handed out, so each has
// to be waited for once, as the front ends do; its time runs from [protocol.NewRequest] until then.
type observed struct {
	protocol.Handler
	metrics *metrics
	slow    *slowLog
}

// Wait gives the reply, see [protocol.Handler].
func (o observed) Wait(ctx context.Context, r *protocol.Request) protocol.Reply {
	reply := o.Handler.Wait(ctx, r)
	took := time.Since(r.Started())
	o.metrics.request(r.Op().Kind(), protocol.CodeOf(reply.Err), took)
	o.slow.look(r.Op(), reply, took)
	return reply
}

const (
	slowEvery = 10 * time.Second // in which time
	slowMost  = 10               // so many slow requests are logged; the others are summed up at its end
)

// slowLog logs requests that took long: one line each, but few when all of them do, as on a slow disk.
type slowLog struct {
	threshold time.Duration // 0 logs none
	log       zerolog.Logger

	mu      sync.Mutex
	period  *time.Timer // ends the current one; nil when there is none
	logged  int         // in the current period
	left    int         // not logged
	longest time.Duration
}

func newSlowLog(threshold time.Duration, log zerolog.Logger) *slowLog {
	return &slowLog{threshold: threshold, log: log}
}

// look logs the request if it took long. It never logs a state.
func (s *slowLog) look(op *protocol.Op, reply protocol.Reply, took time.Duration) {
	if s.threshold <= 0 || took < s.threshold || !s.admit(took) {
		return
	}
	line := s.log.Warn().Str("op", op.Kind().String()).Str("code", codeLabel(protocol.CodeOf(reply.Err))).
		Dur("elapsed", took).Int("bytes", op.Size()+stateBytes(reply))
	if op.ID() != "" {
		line = line.Str("agent_id", op.ID())
	}
	if n := len(op.Ops()); n > 0 {
		line = line.Int("operations", n)
	}
	line.Msg("slow request")
}

// admit reports whether one more line may be logged in this period, which it begins if there is none.
func (s *slowLog) admit(took time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.period == nil {
		s.period = time.AfterFunc(slowEvery, s.endPeriod)
	}
	if s.logged < slowMost {
		s.logged++
		return true
	}
	s.left++
	s.longest = max(s.longest, took)
	return false
}

// endPeriod sums up what was not logged.
func (s *slowLog) endPeriod() {
	s.mu.Lock()
	left, longest := s.left, s.longest
	s.period, s.logged, s.left, s.longest = nil, 0, 0, 0
	s.mu.Unlock()
	if left > 0 {
		s.log.Warn().Int("requests", left).Dur("longest", longest).Msg("more slow requests, not logged one by one")
	}
}

// close sums up at once. There must be no more requests.
func (s *slowLog) close() {
	s.mu.Lock()
	period := s.period
	s.mu.Unlock()
	if period != nil && period.Stop() {
		s.endPeriod()
	}
}

// stateBytes is how long the states in a reply are.
func stateBytes(reply protocol.Reply) int {
	n := len(reply.State)
	for i := range reply.Replies {
		n += len(reply.Replies[i].State)
	}
	return n
}
