package resp

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func serverCommands() []spec {
	const family = "server"
	return []spec{
		{
			name: "command", arity: -1, flags: flagAdmin, family: family, handle: commandInfo,
			summary: "Tells about commands: COMMAND [COUNT|DOCS name ...|INFO name ...].",
			help: []string{
				"(none): tells about all commands.",
				"COUNT: tells how many commands there are.",
				"DOCS [name ...]: describes commands.",
				"INFO [name ...]: tells about commands.",
			},
		},
		{
			name: "config", arity: -2, flags: flagAdmin, family: family, handle: configGet,
			summary: "CONFIG GET tells the settings that tools of Redis ask for.",
			help:    []string{"GET pattern ...: tells the settings that match."},
		},
		{
			name: "info", arity: -1, flags: flagAdmin, family: family, handle: info,
			summary: "Tells about the daemon: INFO [section ...].",
		},
		{
			name: "time", arity: 1, flags: flagFast, family: family, handle: timeNow,
			summary: "Tells the time: seconds and microseconds.",
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
		{"maxclients", strconv.Itoa(s.opts.Connections)},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"proto-max-bulk-len", strconv.Itoa(s.opts.RequestBytes)},
		{"save", ""},
		{"timeout", "0"},
	}
}

func configGet(x *executor, args [][]byte) {
	switch {
	case !is(args[1], "get"):
		x.out.fail(errSubcommand("CONFIG", args[1]))
		return
	case len(args) < 3:
		x.out.fail(errArity("config|get"))
		return
	}
	for _, p := range args[2:] {
		if err := checkPattern(p); err != nil {
			x.out.fail(err)
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

// respVersion is the version of Redis whose replies ours are like. Some tools choose their commands by it.
const respVersion = "7.2.0"

func info(x *executor, args [][]byte) {
	wanted := func(name string) bool {
		return len(args) == 1 || slices.ContainsFunc(args[1:], func(a []byte) bool {
			return is(a, name) || is(a, "all") || is(a, "default") || is(a, "everything")
		})
	}
	var b strings.Builder
	for _, s := range x.c.srv.sections() {
		if !wanted(s.Name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + strings.ToUpper(s.Name[:1]) + s.Name[1:] + "\r\n")
		for _, f := range s.Fields {
			b.WriteString(noBreaks.Replace(f.Key+":"+f.Value) + "\r\n")
		}
	}
	x.out.verbatim(b.String())
}

// sections are the server's own, with those of [Options.Info] added to them.
func (s *Server) sections() []Section {
	up := int64(time.Since(s.started).Seconds())
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	all := []Section{
		{"server", []Field{
			{"redis_version", respVersion},
			{"redis_mode", "standalone"},
			{"os", runtime.GOOS + " " + runtime.GOARCH},
			{"process_id", strconv.Itoa(os.Getpid())},
			{"uptime_in_seconds", number(up)},
			{"uptime_in_days", number(up / 86_400)},
		}},
		{"clients", []Field{
			{"connected_clients", strconv.Itoa(s.clientCount())},
			{"maxclients", strconv.Itoa(s.opts.Connections)},
		}},
		{"stats", []Field{
			{"total_connections_received", number(s.accepted.Load())},
			{"total_commands_processed", number(s.commands.Load())},
			{"rejected_connections", number(s.rejected.Load())},
		}},
		{"stated", []Field{{"stated_version", s.opts.Version}}},
	}
	if s.opts.Info == nil {
		return all
	}
	for _, more := range s.opts.Info() {
		same := func(have Section) bool { return strings.EqualFold(have.Name, more.Name) }
		if i := slices.IndexFunc(all, same); i >= 0 {
			all[i].Fields = append(all[i].Fields, more.Fields...)
		} else if more.Name != "" {
			all = append(all, more)
		}
	}
	return all
}

func commandInfo(x *executor, args [][]byte) {
	t := x.c.srv.table
	switch {
	case len(args) == 1:
		x.writeInfos(t.sorted())
	case is(args[1], "count") && len(args) == 2:
		x.out.int(int64(len(t)))
	case is(args[1], "info") && len(args) == 2:
		x.writeInfos(t.sorted())
	case is(args[1], "info"):
		specs := make([]*spec, 0, len(args)-2)
		for _, name := range args[2:] {
			specs = append(specs, t.lookup(name)) // nil for an unknown one
		}
		x.writeInfos(specs)
	case is(args[1], "docs"):
		x.writeDocs(args[2:])
	case is(args[1], "count"):
		x.out.fail(errArity("command|count"))
	default:
		x.out.fail(errSubcommand("COMMAND", args[1]))
	}
}

func (t table) sorted() []*spec {
	all := make([]*spec, 0, len(t))
	for _, s := range t {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *spec) int { return cmp.Compare(a.name, b.name) })
	return all
}

// words of flags as COMMAND INFO gives them.
func (f flags) words() (words []string) {
	for _, w := range []struct {
		flag flags
		word string
	}{{flagWrite, "write"}, {flagRead, "readonly"}, {flagAdmin, "admin"}, {flagFast, "fast"}} {
		if f&w.flag != 0 {
			words = append(words, w.word)
		}
	}
	return words
}

func (x *executor) writeInfos(specs []*spec) {
	o := x.out
	o.array(len(specs))
	for _, s := range specs {
		if s == nil {
			o.nullArray()
			continue
		}
		o.array(10)
		o.bulkString(s.name)
		o.int(int64(s.arity))
		words := s.flags.words()
		o.set(len(words))
		for _, w := range words {
			o.simple(w)
		}
		for _, k := range s.keys {
			o.int(int64(k))
		}
		for range 4 { // categories, tips, key specifications, subcommands
			o.array(0)
		}
	}
}

func (x *executor) writeDocs(names [][]byte) {
	specs := x.c.srv.table.sorted()
	if len(names) > 0 {
		specs = slices.DeleteFunc(specs, func(s *spec) bool {
			return !slices.ContainsFunc(names, func(n []byte) bool { return is(n, s.name) })
		})
	}
	x.out.mapOf(len(specs))
	for _, s := range specs {
		x.out.bulkString(s.name)
		x.out.mapOf(2)
		for _, f := range []Field{{"summary", s.summary}, {"group", s.family}} {
			x.out.bulkString(f.Key)
			x.out.bulkString(f.Value)
		}
	}
}
