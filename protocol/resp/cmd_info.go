package resp

import (
	"context"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stated/stated/protocol"
)

// respVersion is the version of Redis whose replies ours are like. Some tools choose their commands by it.
const respVersion = "7.2.0"

// keyspaceTime is how long an INFO that asks for everything waits until the agents are counted. To count takes the longer
// the more there are, and tools ask for everything every few seconds; who wants to know asks for the section by name.
const keyspaceTime = 100 * time.Millisecond

const keyspaceSection = "keyspace"

// info performs INFO. Names of sections that there are not give nothing, as in Redis.
func info(x *executor, args [][]byte) {
	words := args[1:]
	everything := len(words) == 0 || slices.ContainsFunc(words, func(w []byte) bool {
		return is(w, "all") || is(w, "default") || is(w, "everything")
	})
	wanted := func(name string) bool {
		return everything || slices.ContainsFunc(words, func(w []byte) bool { return is(w, name) })
	}
	var b strings.Builder
	for _, s := range x.c.srv.sections() {
		if !wanted(s.Name) {
			continue
		}
		if s.Name == keyspaceSection {
			more, err := x.keyspace(everything)
			if err != nil {
				x.out.fail(err)
				return
			}
			s.Fields = append(more, s.Fields...)
		}
		s.write(&b)
	}
	x.out.verbatim(b.String())
}

// write appends a section to the text of INFO.
func (s *Section) write(b *strings.Builder) {
	if b.Len() > 0 {
		b.WriteString("\r\n")
	}
	title := strings.ToUpper(s.Name[:1]) + s.Name[1:]
	if s.Name == "cpu" {
		title = "CPU"
	}
	b.WriteString("# " + title + "\r\n")
	for _, f := range s.Fields {
		b.WriteString(noBreaks.Replace(f.Key+":"+f.Value) + "\r\n")
	}
}

// keyspace counts the agents. When it is not done shortly, and others were asked for too, it says nothing of them.
func (x *executor) keyspace(others bool) ([]Field, error) {
	op, err := protocol.Count("")
	if err != nil {
		return nil, err
	}
	if err := x.permitOp(&op); err != nil {
		return nil, err
	}
	defer x.finishStep()
	ctx := x.begin()
	if others {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, keyspaceTime)
		defer cancel()
	}
	reply, err := protocol.Do(ctx, x.c.srv.handler, op)
	switch {
	case err != nil && others, err == nil && reply.Count == 0:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []Field{{"db0", "keys=" + strconv.FormatInt(reply.Count, 10) + ",expires=0,avg_ttl=0"}}, nil
}

// sections are the server's own, with those of [Options.Info] added to them.
func (s *Server) sections() []Section {
	all := []Section{
		{"server", s.aboutServer()},
		{"clients", []Field{
			{"connected_clients", strconv.Itoa(s.Connections())},
			{"maxclients", strconv.Itoa(s.opts.Connections.Most())},
			{"blocked_clients", "0"},
		}},
		{"memory", aboutMemory()},
		{"persistence", []Field{
			{"loading", "0"}, {"async_loading", "0"}, {"rdb_bgsave_in_progress", "0"},
			{"aof_enabled", "1"}, {"aof_rewrite_in_progress", "0"},
		}},
		{"stats", []Field{
			{"total_connections_received", number(s.accepted.Load())},
			{"total_commands_processed", number(s.commands.Load())},
			{"rejected_connections", number(s.rejected.Load())},
			{"expired_keys", "0"}, {"evicted_keys", "0"},
			{"acl_access_denied_auth", number(s.failed.count())},
			{"acl_access_denied_cmd", number(s.deniedCommands.Load())},
		}},
		{"replication", []Field{{"role", "master"}, {"connected_slaves", "0"}, {"master_repl_offset", "0"}}},
		{"cpu", aboutCPU()},
		{"modules", nil},
		{"cluster", []Field{{"cluster_enabled", "0"}}},
		{keyspaceSection, nil},
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

func number(n int64) string { return strconv.FormatInt(n, 10) }

func (s *Server) aboutServer() []Field {
	up := int64(time.Since(s.started).Seconds())
	return []Field{
		{"redis_version", respVersion},
		{"redis_mode", "standalone"},
		{"os", runtime.GOOS + " " + runtime.GOARCH},
		{"arch_bits", strconv.Itoa(strconv.IntSize)},
		{"process_id", strconv.Itoa(os.Getpid())},
		{"run_id", s.runID},
		{"tcp_port", strconv.Itoa(s.port())},
		{"server_time_usec", number(time.Now().UnixMicro())},
		{"uptime_in_seconds", number(up)},
		{"uptime_in_days", number(up / 86_400)},
	}
}

// port is that of the TCP listener, the lowest of several, 0 if there is none.
func (s *Server) port() (port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		if tcp, ok := l.Addr().(*net.TCPAddr); ok && (port == 0 || tcp.Port < port) {
			port = tcp.Port
		}
	}
	return port
}

func aboutMemory() []Field {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(heap)
	used := heap[0].Value.Uint64()
	resident, ok := residentBytes()
	if !ok {
		resident = heap[1].Value.Uint64() - heap[2].Value.Uint64() // what Go holds; without SQLite's part
	}
	return []Field{
		{"used_memory", strconv.FormatUint(used, 10)},
		{"used_memory_human", human(used)},
		{"used_memory_rss", strconv.FormatUint(resident, 10)},
		{"used_memory_rss_human", human(resident)},
		{"maxmemory", "0"},
		{"maxmemory_human", "0B"},
		{"maxmemory_policy", "noeviction"},
	}
}

// residentBytes asks Linux how much memory the process has.
func residentBytes() (uint64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(words[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err == nil //nolint:gosec // a page has a positive size
}

// human gives a number of bytes in Redis's form.
func human(n uint64) string {
	const units = "KMGTP"
	if n < 1024 {
		return strconv.FormatUint(n, 10) + "B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + units[unit:unit+1]
}

func aboutCPU() []Field {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return nil
	}
	seconds := func(t syscall.Timeval) string {
		return strconv.FormatFloat(time.Duration(t.Nano()).Seconds(), 'f', 6, 64)
	}
	return []Field{{"used_cpu_sys", seconds(used.Stime)}, {"used_cpu_user", seconds(used.Utime)}}
}
