//go:build system

package fault

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // the other program that reads

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

const (
	orderClients = 64 // so many that commits are pipelined
	orderSaves   = 10 // of each client
)

// TestOrder: no reply to a save leaves before the log that holds it was synced, and many replies share one sync.
func TestOrder(t *testing.T) {
	o := recordOrder(t, "full")
	t.Logf("%d acknowledgements, %d fsyncs of the log, %d commits with a change acknowledged", o.acks, o.syncs, o.commits)
	for _, v := range o.violations {
		t.Error(v)
	}
	if o.acks != orderClients*orderSaves {
		t.Errorf("%d acknowledgements in the trace, want %d", o.acks, orderClients*orderSaves)
	}
	if o.commits >= o.acks {
		t.Error("no two acknowledgements share a sync")
	}
}

// TestOrder_Checker: at durability normal nothing is synced before the reply, and the checker says so.
func TestOrder_Checker(t *testing.T) {
	o := recordOrder(t, "normal")
	t.Logf("%d acknowledgements, %d fsyncs of the log, %d violations", o.acks, o.syncs, len(o.violations))
	if len(o.violations) <= o.acks/2 {
		t.Errorf("only %d violations among %d acknowledgements", len(o.violations), o.acks)
	}
}

// TestOrder_Recovered: what a killed daemon has left in the log is synced before a read shows it. Another program has
// recovered the log before, and did not.
func TestOrder_Recovered(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	if _, err := d.Client(t, resp.ClientOptions{}).Save(guarded(t), "a", []byte(`{"mark":"left"}`)); err != nil {
		t.Fatal(err)
	}
	d.Kill()
	other, err := sql.Open("sqlite", db)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // it only reads
	var n int
	if err := other.QueryRow("SELECT count(*) FROM agent_state").Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	out := filepath.Join(t.TempDir(), "trace")
	d = harness.StartWith(t, harness.Command{Under: under(out, fast, "-e", "trace=fdatasync,fsync,write")}, db)
	if _, err := d.Client(t, resp.ClientOptions{}).Load(guarded(t), "a"); err != nil {
		t.Fatal(err)
	}
	d.Stop(t)
	synced, shown := false, 0
	for _, c := range readTrace(t, out).Calls {
		switch {
		case c.Path == db+"-wal" && c.Result == 0:
			synced = true
		case c.Name == "write" && strings.HasPrefix(c.Path, "TCP:") && markInLog.MatchString(c.Arg(1)):
			if shown++; !synced {
				t.Errorf("line %d: a reply shows what was never synced", c.Start)
			}
		}
	}
	if shown != 1 {
		t.Errorf("%d replies with the state in the trace", shown)
	}
}

// recordOrder lets clients save through a daemon that strace watches.
func recordOrder(t *testing.T, durability string) order {
	t.Helper()
	db := harness.File(t)
	out := filepath.Join(t.TempDir(), "trace")
	d := harness.StartWith(t, harness.Command{
		Under: under(out, fast, "-e", "trace=pwrite64,fdatasync,fsync,write"),
		Args:  []string{"--set", "store.durability=" + durability},
	}, db)
	marks := map[int64]string{} // by revision
	var mu sync.Mutex
	var clients sync.WaitGroup
	ctx := guarded(t)
	for i := range orderClients {
		c := d.Client(t, resp.ClientOptions{})
		clients.Go(func() {
			for n := range orderSaves {
				mark := fmt.Sprintf("%d/%d", i, n)
				reply, err := c.Save(ctx, fmt.Sprintf("client-%d", i), fmt.Appendf(nil, `{"mark":%q}`, mark))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				marks[reply.Revision] = mark
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	d.Stop(t)
	return orderOf(readTrace(t, out), db+"-wal", marks)
}

// order is what a trace tells about replies and syncs.
type order struct {
	acks, syncs, commits int
	violations           []string
}

var (
	markInLog   = regexp.MustCompile(`\{"mark":"([^"]+)"\}`)
	saveInReply = regexp.MustCompile(`\*[23]\r\n:(\d+)\r\n:\d+\r\n`)
)

// orderOf compares for each save when it was written into the log, when the first sync that began after that returned, and
// when the reply was sent.
func orderOf(trace *Trace, log string, marks map[int64]string) order {
	var o order
	written := map[string]*Call{} // by mark: the first write of it
	var syncs []*Call
	commits := map[*Call]bool{}
	for _, c := range trace.Calls {
		switch {
		case c.Path == log && c.Name == "pwrite64":
			for _, m := range markInLog.FindAllStringSubmatch(c.Arg(1), -1) {
				if written[m[1]] == nil {
					written[m[1]] = c
				}
			}
		case c.Path == log && c.Result == 0:
			syncs = append(syncs, c)
		case c.Name == "write" && strings.HasPrefix(c.Path, "TCP:"):
			for _, m := range saveInReply.FindAllStringSubmatch(c.Arg(1), -1) {
				o.acks++
				revision, _ := strconv.ParseInt(m[1], 10, 64) // they are digits
				by := syncOf(syncs, written[marks[revision]])
				if by == nil || by.End >= c.Start {
					o.violations = append(o.violations, fmt.Sprintf("line %d: revision %d is acknowledged, and its log is not synced", c.Start, revision))
					continue
				}
				commits[by] = true
			}
		}
	}
	o.syncs, o.commits = len(syncs), len(commits)
	return o
}

// syncOf gives the first sync that began when the write had returned.
func syncOf(syncs []*Call, write *Call) *Call {
	for _, s := range syncs {
		if write != nil && s.Start > write.End {
			return s
		}
	}
	return nil
}
