//go:build system

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// hostileMemory bounds what the daemon may have resident beside all of the clients below. Each may have as much in the
// daemon as the limits of TestHostile allow, and what is announced and does not come costs nothing.
const hostileMemory = 300 << 20

// TestHostile has clients that do all that a client should not, while others use both front ends and notice nothing.
func TestHostile(t *testing.T) {
	d := harness.Start(t, harness.File(t), "--log-level", "info", "--set", "limits.state_bytes=1MiB",
		"--set", "limits.request_bytes=4MiB", "--set", "limits.inflight_bytes=64MiB", "--set", "limits.output_bytes=4MiB")
	large := `"` + strings.Repeat("x", 1<<20-2) + `"`
	if _, err := d.Client(t, resp.ClientOptions{}).Save(guarded(t), "large", []byte(large)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var honest, hostile sync.WaitGroup
	turns := make([]int, 2)
	honest.Go(func() { turns[0] = honestRedis(ctx, t, d) })
	honest.Go(func() { turns[1] = honestHTTP(ctx, t, d) })

	const times = 8
	for name, attack := range attacks(large) {
		for range times {
			hostile.Go(func() {
				addr := d.Addr
				if strings.HasPrefix(name, "http") {
					addr = d.HTTP
				}
				nc, err := net.DialTimeout("tcp", addr, harness.Patience)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				defer nc.Close()                                // the attack ends at the latest here
				_ = nc.SetDeadline(time.Now().Add(time.Second)) // some never end by themselves
				attack(nc)
			})
		}
	}
	hostile.Wait()
	cancel()
	honest.Wait()
	peak := harness.Memory(t, d.Pid(), "VmHWM")
	t.Logf("%d turns over the Redis protocol and %d over HTTP meanwhile; resident at the most: %d MiB", turns[0], turns[1], peak>>20)
	if turns[0] == 0 || turns[1] == 0 {
		t.Error("the others got nothing done")
	}
	if peak > hostileMemory {
		t.Errorf("%d MiB at the most, more than %d MiB", peak>>20, hostileMemory>>20)
	}
	d.Stop(t)
}

// attacks are what hostile clients do on a connection.
func attacks(large string) map[string]func(net.Conn) {
	each := func(text string) func(net.Conn) {
		return func(nc net.Conn) {
			for i := range len(text) {
				if _, err := nc.Write([]byte{text[i]}); err != nil {
					return
				}
			}
		}
	}
	once := func(text string) func(net.Conn) {
		return func(nc net.Conn) {
			_, _ = io.WriteString(nc, text)
			_, _ = io.Copy(io.Discard, nc)
		}
	}
	endless := func(begin, more string) func(net.Conn) {
		return func(nc net.Conn) {
			_, err := io.WriteString(nc, begin)
			for err == nil { // it never reads
				_, err = io.WriteString(nc, more)
			}
		}
	}
	set := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nm\r\n$%d\r\n%s\r\n", len(large), large)
	return map[string]func(net.Conn){
		"redis: a byte at a time":    each(strings.Repeat("*2\r\n$3\r\nGET\r\n$1\r\nx\r\n", 100)),
		"redis: 10 GB announced":     once("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$10000000000\r\n[1"),
		"redis: 4 MiB announced":     once("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$4000000\r\n[1"),
		"redis: a billion arguments": once("*1000000000\r\n$3\r\nDEL\r\n"),
		"redis: never reads":         endless("", "*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n"),
		"redis: an endless MULTI":    endless("*1\r\n$5\r\nMULTI\r\n", set),
		"redis: gone in a pipeline": func(nc net.Conn) {
			_, _ = io.WriteString(nc, strings.Repeat("*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n", 50)+"*2\r\n$3")
		},
		"http: a byte at a time": each("PUT /v1/agents/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat(" ", 999)),
		"http: 10 GB announced":  once("PUT /v1/agents/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n[1"),
		"http: a chunk of 10 GB": once("PUT /v1/agents/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2540be400\r\n[1"),
		"http: 1 MiB announced":  once("PUT /v1/agents/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n[1"),
		"http: never reads":      endless("", "GET /v1/agents/large HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"http: an endless body":  endless("PUT /v1/agents/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\n                \r\n"),
		"http: endless headers":  endless("GET / HTTP/1.1\r\nHost: localhost\r\n", "X: y\r\n"),
		"http: gone in the middle": func(nc net.Conn) {
			_, _ = io.WriteString(nc, "PUT /v1/agents/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n[1")
		},
		"redis: HTTP":                      once("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"http: the Redis protocol":         once("*1\r\n$4\r\nPING\r\n"),
		"http: a transaction of a million": once("POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n{\"ops\":[" + strings.Repeat("0,", 1_999_990) + "0]}"),
	}
}

// honestRedis saves and loads until ctx ends, and gives how often.
func honestRedis(ctx context.Context, t *testing.T, d *harness.Daemon) int {
	c := d.Client(t, resp.ClientOptions{})
	n := 0
	for ; ctx.Err() == nil; n++ {
		state := fmt.Sprintf(`{"turn":%d}`, n)
		if _, err := c.Save(guarded(t), "honest-redis", []byte(state)); err != nil {
			t.Errorf("save %d: %v", n, err)
			return n
		}
		if r, err := c.Load(guarded(t), "honest-redis"); err != nil || string(r.State) != state {
			t.Errorf("load %d: %s, %v", n, r.State, err)
			return n
		}
	}
	return n
}

func honestHTTP(ctx context.Context, t *testing.T, d *harness.Daemon) int {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * harness.Patience}
	url := "http://" + d.HTTP + "/v1/agents/honest-http"
	n := 0
	for ; ctx.Err() == nil; n++ {
		state := fmt.Sprintf(`{"turn":%d}`, n)
		put, err := http.NewRequest(http.MethodPut, url, strings.NewReader(state))
		if err != nil {
			t.Error(err)
			return n
		}
		if _, err := answered(client.Do(put)); err != nil {
			t.Errorf("save %d: %v", n, err)
			return n
		}
		if got, err := answered(client.Get(url)); err != nil || got != state {
			t.Errorf("load %d: %s, %v", n, got, err)
			return n
		}
	}
	return n
}

// answered reads a reply, which has to be a success.
func answered(reply *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer reply.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", reply.Status, body)
	}
	return string(body), err
}
