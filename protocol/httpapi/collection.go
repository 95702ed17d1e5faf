package httpapi

import (
	"net/http"
	"strconv"

	"github.com/stated/stated/protocol"
)

// The routes of all agents.

type entryJSON struct {
	ID        string  `json:"agent_id"`
	Revision  int64   `json:"revision"`
	UpdatedAt *string `json:"updated_at"`
	Bytes     int64   `json:"bytes"`
}

type pageJSON struct {
	Agents []entryJSON `json:"agents"`
	Next   *string     `json:"next"`
}

func (x *exchange) list() error {
	limit := 0
	if text, given := x.query["limit"]; given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > protocol.MaxListLimit {
			return protocol.Errorf(protocol.CodeInvalid, "limit is %.32q: want a number from 1 to %d", text, protocol.MaxListLimit)
		}
		limit = n
	}
	op, err := protocol.List(x.query["prefix"], x.query["after"], limit)
	reply, err := x.do(op, err)
	if err != nil {
		return err
	}
	page := pageJSON{Agents: make([]entryJSON, len(reply.Entries))}
	for i, e := range reply.Entries {
		page.Agents[i] = entryJSON{ID: e.ID, Revision: e.Revision, UpdatedAt: timeText(e.UpdatedAt), Bytes: e.Bytes}
	}
	if reply.Next != "" {
		page.Next = &reply.Next
	}
	return x.replyJSON(http.StatusOK, page)
}

func (x *exchange) count() error {
	op, err := protocol.Count(x.query["prefix"])
	reply, err := x.do(op, err)
	if err != nil {
		return err
	}
	return x.replyJSON(http.StatusOK, struct {
		Count int64 `json:"count"`
	}{reply.Count})
}

// clear wants to be told twice: a DELETE one segment too short is easily sent.
func (x *exchange) clear() error {
	for _, header := range []string{"If-Match", "If-None-Match", "If-Unmodified-Since"} {
		if x.r.Header.Get(header) != "" {
			return protocol.Errorf(protocol.CodeInvalid, "%s is given: all agents together have no revision to compare", header)
		}
	}
	if x.query["confirm"] != "all" {
		return protocol.Errorf(protocol.CodeInvalid, "this deletes every agent: say ?confirm=all if you mean it")
	}
	reply, err := x.do(protocol.Clear(), nil)
	if err != nil {
		return err
	}
	return x.replyJSON(http.StatusOK, struct {
		Deleted  int64 `json:"deleted"`
		Revision int64 `json:"revision"`
	}{reply.Count, reply.Revision})
}
