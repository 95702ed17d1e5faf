package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
)

// Info gives the members of /v1/info. It blocks until the answer is there or ctx ends. A large store takes its time to
// count its agents for it. It returns FORBIDDEN if the token may not ask.
func (c *Client) Info(ctx context.Context) (map[string]any, error) {
	e := &outgoing{method: http.MethodGet, path: "/v1/info"}
	got, err := c.ask(ctx, e)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if json.Unmarshal(got.body, &members) != nil || members == nil {
		return nil, c.nonsense(e, got)
	}
	return members, nil
}
