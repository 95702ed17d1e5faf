//go:build system

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stated/stated/test/harness"
)

const (
	idleConnections = 1000
	busyConnections = 200
	busyFor         = 30 * time.Second
	pipelined       = 16
	// manyMemory bounds what the daemon may have resident, of which each connection takes about 50 KiB: goroutines,
	// buffers, and for the Redis protocol a pipeline being read while one is answered.
	manyMemory = 250 << 20
)

// TestManyConnections has 1,000 idle clients and 200 busy ones, half of them by each protocol. Every reply is the right
// one, the daemon's memory is bounded, and nothing is left when they have gone.
func TestManyConnections(t *testing.T) {
	raiseDescriptors(t)
	d := harness.Start(t, harness.File(t), "--log-level", "info")
	rest := d.Info(t).Number(t, "goroutines")
	before := harness.Memory(t, d.Pid(), "VmRSS")
	var idle []*idler
	for i := range idleConnections {
		idle = append(idle, newIdler(t, d, i%2 == 0))
	}
	withIdle := harness.Memory(t, d.Pid(), "VmRSS")

	ctx, cancel := context.WithTimeout(context.Background(), busyFor)
	defer cancel()
	var busy sync.WaitGroup
	var byRedis, byHTTP atomic.Int64
	for i := range busyConnections {
		work, count := busyRedis, &byRedis
		if i%2 == 0 {
			work, count = busyHTTP, &byHTTP
		}
		busy.Go(func() {
			if err := work(ctx, d, i, count); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	busy.Wait()
	peak := harness.Memory(t, d.Pid(), "VmHWM")
	for _, c := range idle {
		if err := c.ask(); err != nil {
			t.Errorf("an idle connection: %v", err)
			break
		}
	}
	for _, c := range idle {
		_ = c.Close()
	}
	t.Logf("%d commands in pipelines of %d, %d requests over HTTP, in %v", byRedis.Load(), pipelined, byHTTP.Load(), busyFor)
	t.Logf("resident: %d MiB at rest, %d MiB with %d idle connections, %d MiB at the most",
		before>>20, withIdle>>20, idleConnections, peak>>20)
	if peak > manyMemory {
		t.Errorf("%d MiB at the most, more than %d MiB", peak>>20, manyMemory>>20)
	}
	harness.Eventually(t, "the goroutines of the connections end", func() bool {
		return d.Info(t).Number(t, "goroutines") <= rest
	})
	d.Stop(t)
}

// raiseDescriptors lets this process have as many connections as it needs, and so its children.
func raiseDescriptors(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 4096 {
		t.Fatalf("%d descriptors are too few: %v", limit.Cur, err)
	}
}

// idler is a connection that asks at its beginning and at its end.
type idler struct {
	net.Conn
	r     *bufio.Reader
	ask   func() error
	redis bool
}

func newIdler(t *testing.T, d *harness.Daemon, redis bool) *idler {
	t.Helper()
	addr := d.HTTP
	if redis {
		addr = d.Addr
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := &idler{Conn: nc, r: bufio.NewReader(nc), redis: redis}
	request, want := "GET /v1/count HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 OK"
	if redis {
		request, want = "PING\r\n", "+PONG"
	}
	c.ask = func() error {
		if _, err := io.WriteString(nc, request); err != nil {
			return err
		}
		line, err := c.r.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			return fmt.Errorf("%q, %w", line, err)
		}
		if !redis {
			return c.skip()
		}
		return nil
	}
	if err := c.ask(); err != nil {
		t.Fatal(err)
	}
	return c
}

// skip reads the rest of a reply over HTTP.
func (c *idler) skip() error {
	length := 0
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(line, "Content-Length: %d", &length); err != nil && strings.TrimSpace(line) == "" {
			_, err := c.r.Discard(length)
			return err
		}
	}
}

// busyRedis sends pipelines whose replies are all different, and reads them in order.
func busyRedis(ctx context.Context, d *harness.Daemon, id int, count *atomic.Int64) error {
	nc, err := net.Dial("tcp", d.Addr)
	if err != nil {
		return err
	}
	defer nc.Close() //nolint:errcheck // everything was read
	r := bufio.NewReader(nc)
	for n := 0; ctx.Err() == nil; n++ {
		var send, want strings.Builder
		for i := range pipelined / 2 {
			state := fmt.Sprintf(`{"by":%d,"turn":%d,"step":%d,"pad":"%s"}`, id, n, i, strings.Repeat("x", 500))
			key := fmt.Sprintf("redis-%d-%d", id, i)
			fmt.Fprintf(&send, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key, len(state), state, len(key), key)
			fmt.Fprintf(&want, "+OK\r\n$%d\r\n%s\r\n", len(state), state)
		}
		if _, err := io.WriteString(nc, send.String()); err != nil {
			return err
		}
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want.String() {
			return fmt.Errorf("pipeline %d: %.200q, %w", n, got, err)
		}
		count.Add(pipelined)
	}
	return nil
}

// busyHTTP saves and loads an agent of its own on one connection.
func busyHTTP(ctx context.Context, d *harness.Daemon, id int, count *atomic.Int64) error {
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := fmt.Sprintf("http://%s/v1/agents/http-%d", d.HTTP, id)
	for n := 0; ctx.Err() == nil; n++ {
		state := fmt.Sprintf(`{"by":%d,"turn":%d,"pad":"%s"}`, id, n, strings.Repeat("x", 500))
		put, err := http.NewRequest(http.MethodPut, url, strings.NewReader(state))
		if err != nil {
			return err
		}
		if _, err := answered(client.Do(put)); err != nil {
			return fmt.Errorf("save %d: %w", n, err)
		}
		if got, err := answered(client.Get(url)); err != nil || got != state {
			return fmt.Errorf("load %d: %.200q, %w", n, got, err)
		}
		count.Add(2)
	}
	return nil
}
