package protocol

import "context"

// Handler performs requests. The in-process actor is one, and so is the network client.
//
// A handler bounds what one reply may hold: a transaction that would load more is refused with INVALID and
// [FactTooLarge], and nothing of it is applied.
type Handler interface {
	// Start hands the request over. It returns as soon as the request has its place, so that a caller can start
	// several before it waits for the first; it blocks while there is no room, until ctx ends. It reports
	// nothing: every outcome, that of a failed start included, comes from Wait. It keeps neither ctx nor anything made
	// from it beyond the answer.
	Start(ctx context.Context, r *Request)
	// Wait gives the reply to a request that was started. It ends with ctx: then the error says whether the
	// request was certainly not applied (LOCKED, OVERLOADED, CANCELED) or whether that is UNKNOWN.
	Wait(ctx context.Context, r *Request) Reply
}

// Do performs one operation: Start and Wait.
func Do(ctx context.Context, h Handler, op Op) (Reply, error) {
	r := NewRequest(op)
	h.Start(ctx, r)
	reply := h.Wait(ctx, r)
	return reply, reply.Err
}

// Methods gives a [Handler] one method for each operation. Each of them validates its arguments (INVALID), and
// blocks until the operation is done or ctx ends.
type Methods struct{ Handler Handler }

// Save writes the state of an agent, whatever it was before. The bytes must not be changed until it returns.
func (m Methods) Save(ctx context.Context, id string, state []byte) (Reply, error) {
	return m.SaveIf(ctx, id, state, Condition{})
}

// SaveIf writes the state of an agent if the condition holds, else it returns CONFLICT.
func (m Methods) SaveIf(ctx context.Context, id string, state []byte, cond Condition) (Reply, error) {
	op, err := Save(id, state, cond)
	return m.do(ctx, op, err)
}

// Load reads the state of an agent. It returns NOT_FOUND when there is none, CORRUPT when the row is damaged.
func (m Methods) Load(ctx context.Context, id string) (Reply, error) {
	op, err := Load(id)
	return m.do(ctx, op, err)
}

// Delete removes an agent. It is no error if there is none: Found is false then.
func (m Methods) Delete(ctx context.Context, id string) (Reply, error) {
	return m.DeleteIf(ctx, id, Condition{})
}

// DeleteIf removes an agent if the condition holds, else it returns CONFLICT.
func (m Methods) DeleteIf(ctx context.Context, id string, cond Condition) (Reply, error) {
	op, err := Delete(id, cond)
	return m.do(ctx, op, err)
}

// List reads a page of the agents whose id starts with prefix, in byte order, behind the id after; a limit of 0
// means [DefaultListLimit]. Reply.Next continues.
func (m Methods) List(ctx context.Context, prefix, after string, limit int) (Reply, error) {
	op, err := List(prefix, after, limit)
	return m.do(ctx, op, err)
}

// Count counts the agents whose id starts with prefix.
func (m Methods) Count(ctx context.Context, prefix string) (int64, error) {
	op, err := Count(prefix)
	reply, err := m.do(ctx, op, err)
	return reply.Count, err
}

// Clear removes every agent.
func (m Methods) Clear(ctx context.Context) (Reply, error) { return m.do(ctx, Clear(), nil) }

// Txn performs the operations in order, all or nothing. It returns CONFLICT, with [FactIndex], when the
// condition of one does not hold.
func (m Methods) Txn(ctx context.Context, ops ...Op) (Reply, error) {
	op, err := Txn(ops...)
	return m.do(ctx, op, err)
}

func (m Methods) do(ctx context.Context, op Op, err error) (Reply, error) {
	if err != nil {
		return Reply{Err: err}, err
	}
	return Do(ctx, m.Handler, op)
}
