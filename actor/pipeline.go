package actor

import "sync/atomic"

// pipeline lets the writer fill a batch while the one before it is being synced. Of batches that are committed and not yet
// durable there are two at most: one that is being synced, and one that waits for that in the writer's hand.
//
// Callers who wait for each reply would all be in the first batch, and nobody left for the second. So a batch takes but half
// of those who are there, in the mailbox and in the batch ahead, and the next begins when as many have come as that one has,
// or when it is through. Few callers gain nothing from that: for them the writer itself syncs.
type pipeline struct {
	works   bool          // the store commits before it syncs; the writer's own
	batches chan *batch   // committed ones, from the writer to the syncing goroutine
	stopped chan struct{} // closed when that is gone
	ahead   atomic.Int64  // requests that are committed and not answered
	enough  atomic.Int64  // how many requests in the mailbox the writer waits for; 0 = it does not
	wake    chan struct{} // says that there are as many, or that a batch was answered
	spare   chan *batch
}

// pipelineFrom is from how many callers on two stages with half of them each are better than one: measured with a disk that
// takes 0.2 to 0.5 ms to sync.
const pipelineFrom = 32

func newPipeline() pipeline {
	return pipeline{
		batches: make(chan *batch), stopped: make(chan struct{}), wake: make(chan struct{}, 1), spare: make(chan *batch, 2),
	}
}

// share is how many a batch takes of those who wait, at most limit, and whether it has the pipeline for itself.
func (p *pipeline) share(waiting, limit int) (n int, alone bool) {
	ahead := int(p.ahead.Load())
	all := ahead + waiting
	if !p.works || all < pipelineFrom {
		return limit, ahead == 0
	}
	return min((all+1)/2, limit), false
}

// complete has a batch made durable and answered, and blocks until another one is worth to be begun.
func (a *Actor) complete(b *batch) {
	p := &a.pipeline
	p.works = p.works || b.sync != nil
	if b.alone || b.sync == nil && p.ahead.Load() == 0 {
		b.finish()
		p.give(b)
		return
	}
	p.ahead.Add(int64(len(b.taken)))
	p.batches <- b
	a.awaitEnough()
}

// awaitEnough blocks while a batch is ahead and fewer requests wait than that one has.
func (a *Actor) awaitEnough() {
	p := &a.pipeline
	defer p.enough.Store(0)
	for {
		enough := min(p.ahead.Load(), int64(cap(a.mailbox)))
		p.enough.Store(enough)
		if int64(len(a.mailbox)) >= enough {
			return
		}
		select {
		case <-p.wake:
		case <-a.closing:
			return
		}
	}
}

// came says that so many requests are in the mailbox. It may come too late to count; the batch ahead wakes the writer anyway.
func (p *pipeline) came(waiting int) {
	if enough := p.enough.Load(); enough != 0 && int64(waiting) >= enough {
		p.notify()
	}
}

func (p *pipeline) notify() {
	select {
	case p.wake <- struct{}{}:
	default: // it is told already
	}
}

// sync is the syncing goroutine.
func (a *Actor) sync() {
	p := &a.pipeline
	defer close(p.stopped)
	for b := range p.batches {
		n := int64(len(b.taken))
		b.finish()
		p.ahead.Add(-n)
		p.notify()
		p.give(b)
	}
}

// end stops it, when it has done what it was given.
func (p *pipeline) end() {
	close(p.batches)
	<-p.stopped
}

// finish makes a committed batch durable and answers it.
func (b *batch) finish() {
	defer func() { b.a.died(recover(), b) }()
	if b.sync != nil {
		if err := b.sync(); err != nil {
			b.fail(err)
			return
		}
	}
	b.answer()
}

// nextBatch gives an empty batch.
func (a *Actor) nextBatch() *batch {
	select {
	case b := <-a.pipeline.spare:
		return b
	default:
		return &batch{a: a}
	}
}

// give takes a batch back that was answered.
func (p *pipeline) give(b *batch) {
	select {
	case p.spare <- b:
	default:
	}
}
