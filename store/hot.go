package store

import (
	"container/list"
	"context"
	"hash/maphash"
	"sync"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
)

// hot keeps states in memory, those that were read last, so that a load need not ask SQLite. It is exact: it never gives a
// state that is older than one that was acknowledged, by anybody, before the load began.
//
// The header of the log's index is what tells (sqlite.Index). What is kept is what the file held when the header was
// `known`. A load compares that with the header of now: while they are equal nobody has committed anything since, and what
// is kept is what a read would find. If not, the load reads from SQLite.
//
//   - The writer, once it has committed, takes known away, brings what is kept up to date, and makes the header that it has
//     itself published the known one. Should somebody else have committed meanwhile, that is no longer the header of now.
//   - Under the write lock the writer looks whether somebody else has committed since its last commit; then all that was
//     kept is worth nothing (another epoch).
//   - A load that finds another header than the known one begins another epoch, with that header, too.
//   - What a load has read is kept only if the header was the known one before it read and is so still.
type hot struct {
	mu    sync.RWMutex // of what follows up to busy: loads share it, who changes them does not
	conn  *conn        // has the index in memory as long as it is open
	index *sqlite.Index
	known sqlite.IndexHeader // zero: nothing is known
	epoch uint64             // what was kept in another one is worth nothing
	turn  uint64             // counts the known headers, so that a load can tell whether it is still the same
	busy  bool               // the writer commits, and will bring things up to date

	seed   maphash.Seed
	shards [hotShards]hotShard
}

const hotShards = 32

// hotShard is a part of the agents, with the order in which they were used.
type hotShard struct {
	mu      sync.Mutex
	limit   int64
	bytes   int64
	entries map[string]*list.Element
	order   list.List // of *hotEntry, the one that was used last in front
}

type hotEntry struct {
	id    string
	epoch uint64
	reply protocol.Reply
}

// hotOverhead is about what an entry takes beside its id and its state.
const hotOverhead = 256

func (e *hotEntry) size() int64 { return int64(len(e.id)+len(e.reply.State)) + hotOverhead }

func newHot(limit int64) *hot {
	h := &hot{seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i] = hotShard{limit: limit / hotShards, entries: map[string]*list.Element{}}
	}
	return h
}

func (h *hot) shard(id string) *hotShard { return &h.shards[maphash.String(h.seed, id)%hotShards] }

// connect begins to look at the index. Without one nothing is kept.
func (h *hot) connect(ctx context.Context, open func(context.Context) (*conn, error)) error {
	c, err := open(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn, h.index = c, c.Index()
	return nil
}

// disconnect forgets everything.
func (h *hot) disconnect() error {
	h.mu.Lock()
	c := h.conn
	h.conn, h.index = nil, nil
	h.renounce()
	h.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.close()
}

// renounce makes everything that is kept worth nothing.
func (h *hot) renounce() {
	h.known = sqlite.IndexHeader{}
	h.epoch++
	h.turn++
	h.busy = false
}

// current reports whether the known header is that of now.
func (h *hot) current() bool {
	if h.index == nil || h.known == (sqlite.IndexHeader{}) {
		return false
	}
	header, ok := h.index.Header()
	return ok && header == h.known
}

// load gives what is kept of an agent. If that is nothing it gives the turn in which a read may be kept; 0 is none.
func (h *hot) load(id string) (reply protocol.Reply, ok bool, turn uint64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.current() {
		return protocol.Reply{}, false, 0
	}
	reply, ok = h.shard(id).get(id, h.epoch)
	return reply, ok, h.turn
}

// look begins another epoch if the header is not the known one, and gives the turn in which a read may be kept; 0 is none.
func (h *hot) look() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current() {
		return h.turn
	}
	if h.busy || h.index == nil {
		return 0
	}
	// Two equal readings: one that is torn would be known, and never be found again.
	header, ok := h.index.Header()
	if again, _ := h.index.Header(); !ok || again != header {
		return 0
	}
	h.renounce()
	h.known = header
	return h.turn
}

// keep keeps what a load has read that began in a turn, if it is the same one still.
func (h *hot) keep(turn uint64, id string, reply protocol.Reply) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if turn == 0 || turn != h.turn || !h.current() {
		return
	}
	reply.State = append([]byte(nil), reply.State...) // the caller may do with his what he likes
	h.shard(id).put(&hotEntry{id, h.epoch, reply})
}

// forget makes everything that is kept worth nothing.
func (h *hot) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renounce()
}

// locked is called under the write lock: if somebody else has committed, what is kept is worth nothing.
func (h *hot) locked() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.current() {
		h.renounce()
	}
}

// committing is called in front of a COMMIT: the header that it publishes is no reason to begin another epoch.
func (h *hot) committing() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = true
}

// committed brings what is kept up to date with what the writer has committed, which has left a header.
func (h *hot) committed(ops []*protocol.Op, replies []protocol.Reply, header sqlite.IndexHeader) {
	h.mu.Lock()
	h.known = sqlite.IndexHeader{}
	h.turn++
	h.mu.Unlock()
	for i, op := range ops {
		h.change(op, &replies[i])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = false
	h.known = header
}

// change applies one operation. Only the writer begins another epoch meanwhile.
func (h *hot) change(op *protocol.Op, reply *protocol.Reply) {
	if reply.Err != nil || reply.Skipped {
		return
	}
	switch op.Kind() {
	case protocol.KindSave:
		h.shard(op.ID()).renew(op.ID(), h.epoch, op.State(), reply)
	case protocol.KindDelete:
		h.shard(op.ID()).remove(op.ID())
	case protocol.KindClear:
		h.epoch++
	case protocol.KindTxn:
		for i := range op.Ops() {
			h.change(&op.Ops()[i], &reply.Replies[i])
		}
	}
}

func (s *hotShard) get(id string, epoch uint64) (protocol.Reply, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.entries[id]
	if !ok {
		return protocol.Reply{}, false
	}
	e := at.Value.(*hotEntry)
	if e.epoch != epoch {
		return protocol.Reply{}, false
	}
	s.order.MoveToFront(at)
	return e.reply, true
}

// put keeps an entry, in place of those that were not used for longest.
func (s *hotShard) put(e *hotEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.entries[e.id])
	if e.size() > s.limit {
		return
	}
	for s.bytes+e.size() > s.limit {
		s.drop(s.order.Back())
	}
	s.entries[e.id] = s.order.PushFront(e)
	s.bytes += e.size()
}

func (s *hotShard) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.entries[id])
}

func (s *hotShard) drop(at *list.Element) {
	if at == nil {
		return
	}
	e := s.order.Remove(at).(*hotEntry)
	delete(s.entries, e.id)
	s.bytes -= e.size()
}

// renew keeps what was saved of an agent that was kept before: one that is only written is not worth the room.
func (s *hotShard) renew(id string, epoch uint64, state []byte, saved *protocol.Reply) {
	s.mu.Lock()
	_, ok := s.entries[id]
	s.mu.Unlock()
	if ok {
		s.put(&hotEntry{id, epoch, protocol.Reply{
			Found: true, Revision: saved.Revision, UpdatedAt: saved.UpdatedAt,
			State: append([]byte(nil), state...), Bytes: int64(len(state)),
		}})
	}
}

// loadHot is Read for a load: from memory if it can be.
func (s *Store) loadHot(ctx context.Context, op *protocol.Op) (protocol.Reply, error) {
	reply, ok, turn := s.hot.load(op.ID())
	if ok {
		s.stats.hot.Add(1)
		reply.State = append([]byte(nil), reply.State...)
		return reply, nil
	}
	if turn == 0 {
		turn = s.hot.look()
	}
	reply, err := s.readFile(ctx, op)
	if err == nil {
		s.hot.keep(turn, op.ID(), reply)
	}
	return reply, err
}

// renewHot brings what is kept up to date with a batch that was committed.
func (s *Store) renewHot(ops []*protocol.Op, replies []protocol.Reply) {
	switch {
	case s.hot == nil:
	case s.w.foreign: // a trigger may have changed other agents
		s.hot.forget()
	default:
		s.hot.committed(ops, replies, s.w.conn.Published())
	}
}

// connectHot begins to keep states, once the writer is connected.
func (s *Store) connectHot(ctx context.Context) error {
	if s.hot == nil {
		return nil
	}
	return s.hot.connect(ctx, func(ctx context.Context) (*conn, error) { return s.opts.open(ctx, s.path, accessRead) })
}

// forgetHot ends that, until the writer is connected again.
func (s *Store) forgetHot() {
	if s.hot == nil {
		return
	}
	if err := s.hot.disconnect(); err != nil {
		s.log.Error().Err(err).Msg("the connection that looks at the index of the log cannot be closed cleanly")
	}
}
