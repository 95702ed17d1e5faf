package resp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
)

// BenchmarkServer is what the server costs a request, over loopback: each client sends a pipeline and waits for all of its
// replies. The handler does next to nothing, and the clients no more than they must.
func BenchmarkServer(b *testing.B) {
	state := `{"pad":"` + strings.Repeat("x", 1014) + `"}`
	get, set := bulks("GET", "agent"), bulks("SET", "agent", state)
	gotten, done := fmt.Sprintf("$%d\r\n%s\r\n", len(state), state), "+OK\r\n"
	for _, c := range []struct {
		name           string
		command, reply string
		pipeline       int
	}{{"GET", get, gotten, 1}, {"SET", set, done, 1}, {"GET", get, gotten, 16}, {"SET", set, done, 16}} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/pipeline=%d/clients=%d", c.name, c.pipeline, clients), func(b *testing.B) {
				benchServer(b, state, clients, strings.Repeat(c.command, c.pipeline), strings.Repeat(c.reply, c.pipeline))
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.pipeline), "ns/request")
			})
		}
	}
}

// constant is a handler that knows one state and forgets what is saved.
type constant struct{ state []byte }

func (h constant) Start(_ context.Context, r *protocol.Request) {
	reply := protocol.Reply{Found: true, Revision: 1}
	if r.Op().Kind() == protocol.KindLoad {
		reply.State = h.state
	}
	r.Answer(reply)
}

func (h constant) Wait(_ context.Context, r *protocol.Request) protocol.Reply { return <-r.Reply() }

func benchServer(b *testing.B, state string, clients int, pipeline, replies string) {
	_, addr := serve(b, constant{[]byte(state)}, resp.Options{})
	conns := make(chan net.Conn, clients)
	for range clients {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = nc.Close() })
		conns <- nc
	}
	out := []byte(pipeline)
	b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	work := func(next func() bool) {
		nc, in := <-conns, make([]byte, len(replies))
		for next() {
			if _, err := nc.Write(out); err != nil {
				b.Error(err)
				return
			}
			if _, err := io.ReadFull(nc, in); err != nil || string(in) != replies {
				b.Errorf("got %.40q, %v", in, err)
				return
			}
		}
	}
	if clients == 1 {
		n := 0
		work(func() bool { n++; return n <= b.N })
		return
	}
	b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
}
