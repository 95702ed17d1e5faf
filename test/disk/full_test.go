//go:build system

package disk

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestFull_Writes: the disk fills up under load, and then there is room again.
func TestFull_Writes(t *testing.T) {
	bothWays(t, "12m", func(t *testing.T, v volume, s service) {
		l := start(t, s, 16, 4<<10)
		l.refused(t, 500)
		if got := s.health(); got == store.StateFailed {
			t.Errorf("the store is %s", got)
		}
		v.remount(t, "size=64m")
		l.acknowledged(t, 200)
		l.stop()
		l.verify(t, s.Methods)
		s.stop()
		harness.MustCheck(t, v.file("agents.db"))
	})
}

// TestFull_Idle: nobody writes after the disk was full, and the store finds out by itself that there is room.
func TestFull_Idle(t *testing.T) {
	bothWays(t, "12m", func(t *testing.T, v volume, s service) {
		l := start(t, s, 4, 4<<10)
		l.acknowledged(t, 10)
		free := v.fill(t)
		l.refused(t, 1)
		l.stop()
		free()
		s.recovered(t)
		l.verify(t, s.Methods)
		s.stop()
		harness.MustCheck(t, v.file("agents.db"))
	})
}

// TestFull_Checkpoint: the log has its room already, but the database cannot grow. Saves go on until the log is full too.
func TestFull_Checkpoint(t *testing.T) {
	v := mount(t, "32m")
	db := v.file("agents.db")
	d := harness.Start(t, db, "--set", "store.wal_bytes=2MiB")
	s := service{d.Client(t, resp.ClientOptions{Connections: 8}).Methods,
		func() store.State { return store.State(d.Info(t)["health"]) }, func() { d.Stop(t) }}
	l := start(t, s, 16, 4<<10)
	// Each is of a quarter of the log, which has then been used to its end, or to where a checkpoint let it begin anew.
	harness.Eventually(t, "the log has been used as far as it will be", func() bool { return d.Info(t).Number(t, "checkpoints") >= 8 })
	t.Logf("the log has %d bytes", d.Info(t).Number(t, "wal_bytes"))
	free := v.fill(t)
	harness.Eventually(t, "a checkpoint has failed", func() bool { return d.Info(t).Number(t, "checkpoints_failed") > 0 || d.Info(t)["health"] != "ok" })
	l.refused(t, 100)
	free()
	l.acknowledged(t, 200)
	l.stop()
	l.verify(t, s.Methods)
	if n := d.Info(t).Number(t, "wal_bytes"); n > 8<<20 {
		t.Errorf("the log has grown to %d bytes", n)
	}
	s.stop()
	harness.MustCheck(t, db)
}

// TestFull_LargeState: one that does not fit is refused; small ones that do go on.
func TestFull_LargeState(t *testing.T) {
	bothWays(t, "6m", func(t *testing.T, v volume, s service) {
		small := &traffic{s: s, bytes: 100, told: map[string]protocol.Code{}}
		small.save(t, "before")
		large := append(append([]byte{'"'}, make([]byte, 7<<20)...), '"')
		for i := range large[1 : len(large)-1] {
			large[i+1] = 'x'
		}
		if _, err := s.Save(harness.Guarded(t), "large", large); protocol.CodeOf(err) != protocol.CodeFull {
			t.Errorf("7 MiB on a disk of 6: %v", err)
		}
		s.recovered(t)
		small.save(t, "after")
		if n := small.acks.Load(); n != 2 {
			t.Errorf("%d small ones were acknowledged, want 2", n)
		}
		s.stop()
		harness.MustCheck(t, v.file("agents.db"))
	})
}

// TestFull_Backup: a backup that does not fit leaves nothing behind, and the daemon goes on.
func TestFull_Backup(t *testing.T) {
	v, small := mount(t, "64m"), mount(t, "1m")
	db := v.file("agents.db")
	d := harness.Start(t, db)
	s := service{Methods: d.Client(t, resp.ClientOptions{Connections: 8}).Methods}
	l := start(t, s, 16, 4<<10)
	l.acknowledged(t, 1000)
	r := harness.CLI(t, "backup", small.file("copy.db"), "--db", db)
	if r.Code != 1 || !strings.Contains(r.Stderr, "the disk is full") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	if left, err := os.ReadDir(small.dir); err != nil || len(left) > 0 {
		t.Errorf("it has left %v, %v", left, err)
	}
	l.stop()
	l.verify(t, s.Methods)
	d.Stop(t)
	harness.MustCheck(t, db)
}

// TestFull_Adoption: however little room there is, a file of the Python project is adopted wholly or not at all, and
// what is in it stays.
func TestFull_Adoption(t *testing.T) {
	const state = `{"n":1}`
	outcomes := map[string]int{}
	for room := 0; room <= 128; room += 8 {
		v := mount(t, "1m")
		db := v.file("python.db")
		must(t, "sqlite3", db, `CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY, state_json TEXT NOT NULL,
			updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP); INSERT INTO agent_state (agent_id, state_json) VALUES ('a', '`+state+`')`)
		free := v.fillBut(t, int64(room)<<10)
		r := harness.Run(t, harness.Command{Args: []string{"save", "b", "--db", db}, Stdin: strings.NewReader("1")})
		full := strings.Contains(r.Stderr, "no space left") || strings.Contains(r.Stderr, "disk is full") || strings.Contains(r.Stderr, "is the disk full?")
		if r.Code != 0 && (r.Code != 1 || !full) {
			t.Errorf("%d KiB: exit code %d: %s", room, r.Code, r.Stderr)
		}
		free()
		ours := query(t, db, `SELECT (SELECT count(*) FROM sqlite_master WHERE name LIKE 'stated%') || ' ' ||
			(SELECT count(*) FROM pragma_table_info('agent_state'))`)
		switch {
		case ours != "0 3" && ours != "3 5": // a table and two triggers, two columns
			t.Errorf("%d KiB: adopted in part: %s", room, ours)
		case r.Code == 0 && ours != "3 5":
			t.Errorf("%d KiB: a save succeeded, and the file is not adopted", room)
		}
		if got := query(t, db, "SELECT group_concat(agent_id || state_json) FROM agent_state"); r.Code != 0 && got != "a"+state {
			t.Errorf("%d KiB: after a save that failed it holds %s", room, got)
		}
		outcomes[fmt.Sprintf("exit code %d, adopted %t", r.Code, ours == "3 5")]++
		d := harness.Start(t, db)
		m := d.Client(t, resp.ClientOptions{}).Methods
		if _, err := m.Save(harness.Guarded(t), "b", []byte("1")); err != nil {
			t.Error(err)
		}
		if reply, err := m.Load(harness.Guarded(t), "a"); err != nil || string(reply.State) != state {
			t.Errorf("%s, %v", reply.State, err)
		}
		d.Stop(t)
		harness.MustCheck(t, db)
	}
	t.Log(outcomes)
	if outcomes["exit code 0, adopted true"] == 0 || outcomes["exit code 1, adopted false"] == 0 {
		t.Error("too little room or too much, each time")
	}
}

func query(t *testing.T, db, statement string) string {
	t.Helper()
	out, err := exec.Command("sqlite3", db, statement).Output()
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return strings.TrimSpace(string(out))
}

// TestFull_Start: on a disk without any room a daemon says so; with room it starts, and has everything.
func TestFull_Start(t *testing.T) {
	v := mount(t, "4m")
	db := v.file("agents.db")
	d := harness.Start(t, db)
	s := service{Methods: d.Client(t, resp.ClientOptions{}).Methods}
	l := start(t, s, 4, 1<<10)
	l.acknowledged(t, 50)
	l.stop()
	d.Kill() // the log stays, and wants to be brought in
	if err := os.Remove(db + "-shm"); err != nil {
		t.Fatal(err)
	}
	free := v.fill(t)
	r := harness.CLI(t, "serve", "--db", db, "--redis", "127.0.0.1:0")
	if r.Code != 1 || !strings.Contains(r.Stderr, db) || !strings.Contains(r.Stderr, "is the disk full?") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	t.Logf("it says: %s", strings.TrimSpace(r.Stderr))
	free()
	d = harness.Start(t, db)
	l.verify(t, d.Client(t, resp.ClientOptions{}).Methods)
	d.Stop(t)
	harness.MustCheck(t, db)
}

// TestFull_FileSizeLimit: a limit on the size of files (RLIMIT_FSIZE, a quota) is no full disk for SQLite, but an IO error; and the
// signal that comes with it must not end the process.
func TestFull_FileSizeLimit(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	s := service{d.Client(t, resp.ClientOptions{Connections: 8}).Methods,
		func() store.State { return store.State(d.Info(t)["health"]) }, func() { d.Stop(t) }}
	l := start(t, s, 16, 4<<10)
	l.acknowledged(t, 100)
	pid := strconv.Itoa(d.Pid())
	must(t, "prlimit", "--pid", pid, "--fsize="+strconv.Itoa(4<<20)+":unlimited")
	l.refused(t, 100)
	must(t, "prlimit", "--pid", pid, "--fsize=unlimited:unlimited")
	l.acknowledged(t, 200)
	l.stop()
	l.verify(t, s.Methods)
	s.stop()
}
