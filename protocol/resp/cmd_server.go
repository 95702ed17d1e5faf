package resp

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stated/stated/protocol/auth"
)

func serverCommands() []spec {
	const family, read = "server", auth.RoleRead
	return []spec{
		{
			name: "config", arity: -2, role: read, family: family,
			args: "", summary: "Tells settings in Redis's terms.",
			subs: []spec{{
				name: "config|get", arity: -3, role: read, handle: configGet,
				args: "pattern [pattern ...]", summary: "Tells the settings that tools of Redis ask for and that match.",
				complexity: "O(N) where N is the number of settings times that of patterns", reply: "a map of names to values",
			}},
		},
		{
			name: "info", arity: -1, role: read, family: family, handle: info,
			args: "[section ...]", summary: "Tells about the daemon.",
			complexity: "O(1); with the section keyspace O(N) where N is the number of agents", reply: "text: lines of key:value",
		},
		{
			name: "time", arity: 1, flags: flagFast, role: read, family: family, handle: timeNow,
			summary: "Tells the time.", reply: "seconds since 1970, and microseconds",
		},
	}
}

func timeNow(x *executor, _ [][]byte) {
	now := time.Now()
	x.out.array(2)
	x.out.bulkString(strconv.FormatInt(now.Unix(), 10))
	x.out.bulkString(strconv.Itoa(now.Nanosecond() / 1000))
}

// settings are what CONFIG GET knows, by name: each says in Redis's terms how stated behaves.
func (s *Server) settings() []Field {
	return []Field{
		{"appendonly", "yes"}, // what is acknowledged is on disk
		{"databases", "1"},
		{"maxclients", strconv.Itoa(s.opts.Connections.Most())},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"proto-max-bulk-len", strconv.Itoa(s.opts.RequestBytes)},
		{"save", ""},
		{"timeout", "0"},
	}
}

func configGet(x *executor, args [][]byte) {
	for _, p := range args[2:] {
		if err := checkPattern(p); err != nil {
			x.reject(err)
			return
		}
	}
	var found []Field
	for _, f := range x.c.srv.settings() {
		if slices.ContainsFunc(args[2:], func(p []byte) bool { return match(strings.ToLower(string(p)), f.Key) }) {
			found = append(found, f)
		}
	}
	x.out.mapOf(len(found))
	for _, f := range found {
		x.out.bulkString(f.Key)
		x.out.bulkString(f.Value)
	}
}
