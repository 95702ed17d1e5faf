package actor

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/stated/stated/protocol"
)

// Update loads the state of an agent into a T, lets change work on it, and saves it, on condition that nobody else
// has saved the agent meanwhile: then it begins anew with what is there now, as often as it takes until ctx ends.
// So change may run several times and must have no effect but on its argument. For an agent that does not exist it
// gets the zero T, and Update creates the agent.
//
// Any Handler will do: the actor of this process, or a client of a daemon. An error of change is returned as it is
// and saves nothing; every other error is the store's, and only CONFLICT makes Update begin anew.
func Update[T any](ctx context.Context, h protocol.Handler, id string, change func(state *T) error) (protocol.Reply, error) {
	m := protocol.Methods{Handler: h}
	for {
		var state T
		cond := protocol.IfAbsent()
		loaded, err := m.Load(ctx, id)
		switch {
		case err == nil:
			if err := json.Unmarshal(loaded.State, &state); err != nil {
				return protocol.Reply{}, protocol.Errorf(protocol.CodeInvalid, "the state of agent %q is not a %T: %w", id, state, err)
			}
			cond = protocol.IfRevision(loaded.Revision)
		case !errors.Is(err, protocol.CodeNotFound):
			return protocol.Reply{}, err
		}
		if err := change(&state); err != nil {
			return protocol.Reply{}, err
		}
		bytes, err := json.Marshal(state)
		if err != nil {
			return protocol.Reply{}, protocol.Errorf(protocol.CodeInvalid, "the state of agent %q has no JSON: %w", id, err)
		}
		reply, err := m.SaveIf(ctx, id, bytes, cond)
		if !errors.Is(err, protocol.CodeConflict) {
			return reply, err
		}
	}
}
