package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestBackup copies a file under load. The copy holds exactly what was there at one revision.
func TestBackup(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	client := d.Client(t, resp.ClientOptions{Connections: 4})
	ctx := guarded(t)
	const savers = 16
	var all sync.WaitGroup
	var seen [savers][]saved // every save of an agent, in order
	done := make(chan struct{})
	under := make(chan struct{}, savers)
	for i := range savers {
		all.Go(func() {
			for seq := 1; ; seq++ {
				select {
				case <-done:
					return
				default:
				}
				reply, err := client.Save(ctx, agentID(i), fmt.Appendf(nil, `{"seq":%d,"pad":"%0*d"}`, seq, 2000, 0))
				if err != nil {
					t.Errorf("save: %v", err)
					return
				}
				seen[i] = append(seen[i], saved{seq, reply.Revision})
				if seq == 20 {
					under <- struct{}{}
				}
			}
		})
	}
	for range savers {
		<-under
	}
	type backup struct {
		path     string
		revision int64
	}
	var copies []backup
	for n := range 3 {
		b := backup{path: filepath.Join(t.TempDir(), fmt.Sprintf("copy-%d.db", n))}
		c := cli{t, []string{"--db", db}}
		list := c.objects("", "backup", b.path)
		if len(list) != 1 {
			t.Fatal("no copy")
		}
		b.revision = int64(list[0]["revision"].(float64))
		copies = append(copies, b)
		wantFailure(t, c.run("", "backup", b.path), 2, b.path, "exists already")
	}
	close(done)
	all.Wait()
	for _, b := range copies {
		verifyCopy(t, b.path, b.revision, seen[:])
		t.Logf("a copy of revision %d, the load went on to %d", b.revision, seen[0][len(seen[0])-1].revision)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(copies[0].path), "*partial*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	r := harness.CLI(t, "backup", "/nowhere/copy.db", "--db", db)
	wantFailure(t, r, 2, "the folder /nowhere does not exist") // as restore says it
}

// verifyCopy expects of each agent the last of its saves up to the copy's revision, and nothing newer.
func verifyCopy(t *testing.T, path string, revision int64, seen [][]saved) {
	t.Helper()
	harness.MustCheck(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, %v", info.Mode(), err)
	}
	s := harness.Start(t, path).Client(t, resp.ClientOptions{})
	for i := range seen {
		want := saved{}
		for _, one := range seen[i] {
			if one.revision <= revision {
				want = one
			}
		}
		reply, err := s.Load(guarded(t), agentID(i))
		var got crashState
		if err == nil {
			err = json.Unmarshal(reply.State, &got)
		}
		if err != nil || got.Seq != want.seq || reply.Revision != want.revision {
			t.Errorf("the copy of revision %d has save %d, revision %d, of %s; want %d, %d; %v",
				revision, got.Seq, reply.Revision, agentID(i), want.seq, want.revision, err)
		}
	}
}

// TestDamage changes one letter of a state in the file: it is reported, and never served as good.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "damaged.db")
	c := cli{t, []string{"--db", path}}
	c.wants("revision 1\n", `{"n":"the original"}`, "save", "damaged")
	c.wants("revision 2\n", `{"n":"another one"}`, "save", "sound")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(content, []byte("the original")) != 1 {
		t.Fatal("the state is not in the file, where this test looks for it")
	}
	change := func(from, to string) {
		t.Helper()
		if err := os.WriteFile(path, bytes.Replace(content, []byte(from), []byte(to), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("the original", "the 0riginal")
	c.objects("", "check") // SQLite itself has no checksums
	r := c.run("", "check", "--deep")
	if r.Code != 6 || !bytes.Contains([]byte(r.Stdout), []byte(`agent "damaged"`)) || r.Stderr == "" {
		t.Errorf("check --deep: %+v", r)
	}
	wantFailure(t, c.run("", "load", "damaged"), 6, "damaged")
	c.wants(`{"n":"another one"}`, "", "load", "sound")
	d := harness.Start(t, path)
	raw := dialRaw(t, d.Addr)
	wantError(t, raw.do("GET", "damaged"), []string{"CORRUPT", "damaged"})
	wantError(t, raw.do("STATE.LOAD", "damaged"), []string{"CORRUPT", "damaged"})
	wantReply(t, raw.do("GET", "sound"), `{"n":"another one"}`)
	wantFailure(t, harness.CLI(t, "load", "damaged", "--addr", d.Addr), 6, "damaged")
	wantReply(t, raw.do("SET", "damaged", `{"n":"saved anew"}`), "OK")
	wantReply(t, raw.do("GET", "damaged"), `{"n":"saved anew"}`)
	d.Stop(t)
	harness.MustCheck(t, path)

	// A page of the table that is no page.
	change(string(content[4096:4196]), string(bytes.Repeat([]byte{0xff}, 100)))
	_ = os.Remove(path + "-wal") // of the sound file; the daemon has removed it already
	if r := c.run("", "check"); r.Code != 6 || r.Stderr == "" {
		t.Errorf("check of a file with a damaged page: %+v", r)
	}
}
