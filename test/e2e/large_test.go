//go:build large

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestLarge keeps a million agents of 1 KiB. The daemon's memory must not grow with them.
func TestLarge(t *testing.T) {
	const (
		agents  = 1_000_000
		perTxn  = 1_000
		most    = 200e6 // bytes of resident memory
		clients = 16
	)
	db := harness.File(t)
	d := harness.Start(t, db)
	begun := time.Now()
	fill(t, d, agents, perTxn)
	t.Logf("filled in %v, %.0f agents a second", time.Since(begun).Round(time.Second), agents/time.Since(begun).Seconds())
	report := func(d *harness.Daemon, what string) {
		t.Helper()
		peak := harness.Memory(t, d.Pid(), "VmHWM")
		info := infoOf(t, d.Addr)
		t.Logf("%s: peak %d MiB, now %d MiB, file %d MiB, log %d MiB", what, peak>>20, harness.Memory(t, d.Pid(), "VmRSS")>>20,
			info.number(t, "db_bytes")>>20, info.number(t, "wal_bytes")>>20)
		if peak > most {
			t.Errorf("%s: the daemon had %d MiB", what, peak>>20)
		}
	}
	report(d, "after filling")
	d.Stop(t)

	begun = time.Now()
	d = harness.Start(t, db)
	t.Logf("opened in %v", time.Since(begun).Round(time.Millisecond))
	client := d.Client(t, resp.ClientOptions{Connections: 4})
	report(d, "after opening")
	listAll(t, client.Methods, agents)
	report(d, "after listing")
	n, err := client.Count(guarded(t), "")
	if err != nil || n != agents {
		t.Errorf("%d agents, %v", n, err)
	}
	mixed(t, client.Methods, agents, clients, 20_000)
	report(d, "after loading and saving")
	begun = time.Now()
	if r := harness.Run(t, harness.Command{Args: []string{"count", "--addr", d.Addr}}); strings.TrimSpace(r.Stdout) != fmt.Sprint(agents) {
		t.Errorf("count: %+v", r)
	}
	t.Logf("counted in %v", time.Since(begun).Round(time.Millisecond))
	d.Stop(t)
}

func millionID(n int) string { return fmt.Sprintf("agent-%07d", n) }

// kib is a state of 1 KiB.
func kib(n int) []byte { return fmt.Appendf(nil, `{"n":%9d,"pad":"%0*d"}`, n, 1024-24, 0) }

// fill saves the agents in transactions, several under way at once.
func fill(t *testing.T, d *harness.Daemon, agents, perTxn int) {
	t.Helper()
	client := d.Client(t, resp.ClientOptions{Connections: 4})
	ctx := within(t, 20*harness.Patience)
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				from := int(next.Add(1)-1) * perTxn
				if from >= agents {
					return
				}
				ops := make([]protocol.Op, perTxn)
				for i := range ops {
					op, err := protocol.Save(millionID(from+i), kib(from+i), protocol.IfAbsent())
					if err != nil {
						t.Error(err)
						return
					}
					ops[i] = op
				}
				if _, err := client.Txn(ctx, ops...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func listAll(t *testing.T, m protocol.Methods, agents int) {
	t.Helper()
	ctx := within(t, 10*harness.Patience)
	begun, n, after, longest := time.Now(), 0, "", time.Duration(0)
	for {
		start := time.Now()
		page, err := m.List(ctx, "", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(start))
		for _, e := range page.Entries {
			if e.ID != millionID(n) || e.Bytes != 1024 {
				t.Fatalf("entry %d is %+v", n, e)
			}
			n++
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if n != agents {
		t.Errorf("%d agents are listed", n)
	}
	t.Logf("listed in %v, the longest page of 1,000 took %v", time.Since(begun).Round(time.Millisecond), longest.Round(time.Millisecond))
}

// mixed loads and saves agents all over the file.
func mixed(t *testing.T, m protocol.Methods, agents, clients, each int) {
	t.Helper()
	ctx := within(t, 10*harness.Patience)
	begun := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i))) //nolint:gosec // repeatable on purpose
			for n := range each / clients {
				id := random.IntN(agents)
				var err error
				if n%2 == 0 {
					_, err = m.Load(ctx, millionID(id))
				} else {
					_, err = m.SaveIf(ctx, millionID(id), kib(id), protocol.IfExists())
				}
				if err != nil {
					t.Errorf("%s: %v", millionID(id), err)
					return
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d loads and saves in %v", each, time.Since(begun).Round(time.Millisecond))
}
