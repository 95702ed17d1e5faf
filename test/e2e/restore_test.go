package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// changes are all acknowledged ones by their revision; a deleted agent has no state.
type changes struct {
	mu     sync.Mutex
	byRev  map[int64]change
	txns   [][2]int64 // first and last revision of each transaction
	growth chan struct{}
}

type change struct{ id, state string }

func (c *changes) note(t *testing.T, revision int64, ch change) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := c.byRev[revision]; ok {
		t.Errorf("revision %d was given to %v and to %v", revision, was, ch)
	}
	c.byRev[revision] = ch
	select {
	case c.growth <- struct{}{}:
	default:
	}
}

func (c *changes) highest() (revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.byRev {
		revision = max(revision, n)
	}
	return revision
}

// at gives what every agent holds at a revision, which no transaction may lie across.
func (c *changes) at(t *testing.T, revision int64) map[string]record {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]record{}
	for n := int64(1); n <= revision; n++ {
		ch, ok := c.byRev[n]
		switch {
		case !ok:
			t.Errorf("revision %d was never acknowledged", n)
		case ch.state == "":
			delete(all, ch.id)
		default:
			all[ch.id] = record{ch.state, n}
		}
	}
	for _, txn := range c.txns {
		if txn[0] <= revision && revision < txn[1] {
			t.Errorf("revision %d lies inside a transaction of revisions %d to %d", revision, txn[0], txn[1])
		}
	}
	return all
}

type record struct {
	State    string
	Revision int64
}

// everything lists and loads all agents of a daemon.
func everything(t *testing.T, m protocol.Methods) map[string]record {
	t.Helper()
	page, err := m.List(guarded(t), "", "", protocol.MaxListLimit)
	if err != nil || page.Next != "" {
		t.Fatal(page.Next, err)
	}
	all := map[string]record{}
	for _, e := range page.Entries {
		reply, err := m.Load(guarded(t), e.ID)
		if err != nil {
			t.Errorf("%s: %v", e.ID, err)
		}
		all[e.ID] = record{string(reply.State), reply.Revision}
	}
	return all
}

// changeUntil saves, deletes and does transactions over an own set of agents, until done.
func (c *changes) changeUntil(ctx context.Context, t *testing.T, m protocol.Methods, name string, random *rand.Rand, done <-chan struct{}) {
	t.Helper()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
		}
		id := fmt.Sprintf("%s-%d", name, random.IntN(8))
		state := fmt.Sprintf(`{"by":%q,"n":%d,"pad":"%0*d"}`, name, n, random.IntN(3000), 0)
		switch random.IntN(5) {
		case 0:
			reply, err := m.Delete(ctx, id)
			if err != nil {
				t.Errorf("delete: %v", err)
				return
			}
			if reply.Found {
				c.note(t, reply.Revision, change{id, ""})
			}
		case 1:
			if !c.transaction(ctx, t, m, id, state) {
				return
			}
		default:
			reply, err := m.Save(ctx, id, []byte(state))
			if err != nil {
				t.Errorf("save: %v", err)
				return
			}
			c.note(t, reply.Revision, change{id, state})
		}
	}
}

// transaction saves two agents together.
func (c *changes) transaction(ctx context.Context, t *testing.T, m protocol.Methods, id, state string) bool {
	t.Helper()
	ids := []string{id, id + "-twin"}
	var ops []protocol.Op
	for _, id := range ids {
		op, err := protocol.Save(id, []byte(state), protocol.Condition{})
		if err != nil {
			t.Error(err)
			return false
		}
		ops = append(ops, op)
	}
	reply, err := m.Txn(ctx, ops...)
	if err != nil {
		t.Errorf("transaction: %v", err)
		return false
	}
	for i, id := range ids {
		c.note(t, reply.Replies[i].Revision, change{id, state})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.txns = append(c.txns, [2]int64{reply.Replies[0].Revision, reply.Replies[1].Revision})
	return true
}

// await waits for so many more changes.
func (c *changes) await(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-c.growth:
		case <-ctx.Done():
			t.Fatal("the load stands still")
		}
	}
}

// TestRestore makes backups under full load, lets the load go on, stops the daemon, and puts each backup into place:
// then there is exactly what was acknowledged up to its revision, and no revision is used again.
func TestRestore(t *testing.T) {
	random := harness.Random(t)
	db := harness.File(t)
	d := harness.Start(t, db)
	ctx := guarded(t)
	client := d.Client(t, resp.ClientOptions{Connections: 4})
	c := &changes{byRev: map[int64]change{}, growth: make(chan struct{}, 1)}
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 16 {
		r := rand.New(rand.NewPCG(random.Uint64(), 0)) //nolint:gosec // repeatable on purpose
		all.Go(func() { c.changeUntil(ctx, t, client.Methods, fmt.Sprintf("worker-%02d", i), r, done) })
	}
	type backup struct {
		path     string
		revision int64
	}
	var backups []backup
	on := cli{t, []string{"--db", db}}
	for n := range 3 {
		c.await(ctx, t, 200)
		b := backup{path: filepath.Join(t.TempDir(), fmt.Sprintf("backup-%d.db", n))}
		least := c.highest()
		b.revision = int64(one(t, on.objects("", "backup", b.path))["revision"].(float64))
		if b.revision < least {
			t.Errorf("the backup is of revision %d, and %d was acknowledged before it began", b.revision, least)
		}
		backups = append(backups, b)
		wantFailure(t, on.run("", "restore", b.path), 5, db, fmt.Sprintf("process %d", d.Pid()))
	}
	c.await(ctx, t, 200)
	close(done)
	all.Wait()
	wantFailure(t, on.run("", "restore", backups[0].path), 5, db, fmt.Sprintf("process %d", d.Pid()))
	if diff := cmp.Diff(c.at(t, int64(len(c.byRev))), everything(t, client.Methods)); diff != "" {
		t.Fatalf("before any restore: %s", diff)
	}
	highest := int64(len(c.byRev))
	for _, b := range backups {
		d.Stop(t)
		restored := one(t, on.objects("", "restore", b.path))
		counter := int64(restored["revision"].(float64))
		if restored["path"] != db || counter <= highest {
			t.Errorf("restored: %v; revisions up to %d were given out", restored, highest)
		}
		d = harness.Start(t, db)
		m := d.Client(t, resp.ClientOptions{}).Methods
		want := c.at(t, b.revision)
		if diff := cmp.Diff(want, everything(t, m)); diff != "" {
			t.Errorf("the backup of revision %d: %s", b.revision, diff)
		}
		reply, err := m.Save(guarded(t), "after", []byte("1"))
		if err != nil || reply.Revision != counter+1 {
			t.Errorf("the first save after it: revision %d, want %d, %v", reply.Revision, counter+1, err)
		}
		highest = reply.Revision
		t.Logf("revision %d of %d: %d agents; then revision %d", b.revision, len(c.byRev), len(want), reply.Revision)
	}
}

func one(t *testing.T, list []map[string]any) map[string]any {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%d objects: %v", len(list), list)
	}
	return list[0]
}

// TestRestore_CLI: what the command says, and its exit codes.
func TestRestore_CLI(t *testing.T) {
	db, src := harness.File(t), filepath.Join(t.TempDir(), "backup.db")
	on := cli{t, []string{"--db", db}}
	on.wants("revision 1\n", "1", "save", "a")
	if r := on.run("", "backup", src); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	on.wants("revision 2\n", "2", "save", "a")
	r := on.run("", "restore", src)
	want := fmt.Sprintf("%s holds the 1 agents of %s, verified; store id ", db, src)
	if r.Code != 0 || r.Stderr != "" || !strings.HasPrefix(r.Stdout, want) || !strings.Contains(r.Stdout, "revision counter 4294967298, ") {
		t.Errorf("%+v", r)
	}
	on.wants("1", "", "load", "a")
	on.wants("revision 4294967299\n", "3", "save", "a")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no source":      {[]string{"restore", "--db", db}, 2, "takes the backup"},
		"missing source": {[]string{"restore", "/nowhere", "--db", db}, 2, "/nowhere"},
		"itself":         {[]string{"restore", db, "--db", db}, 2, "the file itself"},
		"no folder":      {[]string{"restore", src, "--db", "/nowhere/agents.db"}, 2, "the folder /nowhere does not exist"},
	} {
		t.Run(name, func(t *testing.T) { wantFailure(t, harness.CLI(t, c.args...), c.code, c.says) })
	}
	content, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(src, content[:len(content)-4096], 0o600); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, on.run("", "restore", src), 6)
	on.wants("3", "", "load", "a")
}

// TestRestore_OpenElsewhere: a file that another program has open is not replaced.
func TestRestore_OpenElsewhere(t *testing.T) {
	openElsewhere(t, func(db string) *harness.Process {
		p := harness.Spawn(t, harness.Command{Path: harness.Build(t, harness.Outsider), Args: []string{"open", db}})
		p.Line(t, "opened")
		return p
	})
}

// openElsewhere expects restore to be refused while the program that open starts has the file open, until its input ends;
// with root's rights also for another user, who sees only the locks of that program.
func openElsewhere(t *testing.T, open func(db string) *harness.Process) {
	t.Helper()
	db, src := harness.File(t), filepath.Join(t.TempDir(), "backup.db")
	on := cli{t, []string{"--db", db}}
	on.wants("revision 1\n", "1", "save", "a")
	if r := on.run("", "backup", src); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	on.wants("revision 2\n", "2", "save", "a")
	for _, name := range []string{db, db + ".owner", src} {
		if err := os.Chmod(name, 0o666); err != nil { //nolint:gosec // for another user
			t.Fatal(err)
		}
	}
	harness.Open(t, filepath.Dir(db))
	harness.Open(t, filepath.Dir(src))
	p := open(db)
	for _, nobody := range []bool{false, true} {
		r := harness.Run(t, harness.Command{Args: []string{"restore", src, "--db", db}, Nobody: nobody})
		wantFailure(t, r, 5, db, "is open in another program", fmt.Sprintf("process %d", p.Pid()))
	}
	p.CloseInput()
	p.Wait(t)
	on.wants("2", "", "load", "a")
	if r := on.run("", "restore", src); r.Code != 0 {
		t.Errorf("%+v", r)
	}
	on.wants("1", "", "load", "a")
}

// TestRestore_Killed kills the command at random moments. There is the old file or the new one, whole, and the same
// command again brings it to its end.
func TestRestore_Killed(t *testing.T) {
	cycles := 12
	if harness.Long() {
		cycles = 300
	}
	random := harness.Random(t)
	src := filepath.Join(t.TempDir(), "src.db")
	mustMakeAgents(t, src, "new", 3000)
	template := filepath.Join(t.TempDir(), "old.db")
	mustMakeAgents(t, template, "old", 2000)
	content, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	const oldAgents, newAgents = "2000\n", "3000\n"
	outcomes, whole := map[string]int{}, time.Duration(0)
	for cycle := range cycles {
		db := filepath.Join(t.TempDir(), "agents.db")
		if err := os.WriteFile(db, content, 0o600); err != nil {
			t.Fatal(err)
		}
		on := cli{t, []string{"--db", db}}
		begun := time.Now()
		p := harness.Spawn(t, harness.Command{Args: []string{"restore", src, "--db", db}})
		if cycle == 0 {
			if code := p.Wait(t); code != 0 {
				t.Fatal(p.Output())
			}
			whole = time.Since(begun)
		} else {
			select {
			case <-p.Gone():
			case <-time.After(time.Duration(random.Int64N(int64(whole)))):
				p.Kill()
			}
		}
		harness.MustCheck(t, db)
		got := on.run("", "count").Stdout
		if got != oldAgents && got != newAgents {
			t.Errorf("%d: %q agents", cycle, got)
		}
		outcomes[strings.TrimSpace(got)]++
		if r := on.run("", "restore", src); r.Code != 0 {
			t.Errorf("again: %+v", r)
		}
		on.wants(newAgents, "", "count")
		harness.MustCheck(t, db)
		if left, err := filepath.Glob(db + ".restoring*"); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
	t.Logf("a restore of %v, %d of them killed at random: agents %v", whole.Round(time.Millisecond), cycles-1, outcomes)
}

// mustMakeAgents makes a file of stated with so many agents.
func mustMakeAgents(t *testing.T, db, name string, n int) {
	t.Helper()
	on := cli{t, []string{"--db", db}}
	on.wants("revision 1\n", "1", "save", name)
	outside := look(t, db)
	_, err := outside.ExecContext(guarded(t), `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO agent_state (agent_id, state_json) SELECT ?2 || i, json_object('n', i, 'pad', hex(randomblob(300))) FROM n`, n, name)
	if err := errors.Join(err, outside.Close()); err != nil { // the last one brings the log in
		t.Fatal(err)
	}
}
