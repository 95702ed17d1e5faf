package damage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestTornCommit: a commit that was never acknowledged, torn by a power cut in any way, keeps no file from being opened,
// and neither does what is left of it in the log when later commits were written over its beginning.
func TestTornCommit(t *testing.T) {
	h := historyOf(t, left)
	db := write(t, h.files)
	m, closeIt, err := library(t, db)
	if err != nil {
		t.Fatal(err)
	}
	before := copyOf(t, db) // its log has all that was acknowledged, and goes on from there
	large := make([]protocol.Op, 40)
	for i := range large {
		if large[i], err = protocol.Save(agentID(i), fmt.Appendf(nil, `"%0*d"`, 3000, i), protocol.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Txn(guarded(t), large...); err != nil {
		t.Fatal(err)
	}
	torn := copyOf(t, db)
	closeIt()

	frame := h.pageSize + 24
	begin, end := ends(before["-wal"], frame), ends(torn["-wal"], frame)
	if (end-begin)/frame < 40 {
		t.Fatalf("the transaction has %d pages only", (end-begin)/frame)
	}
	r := harness.Random(t)
	for i := range long(6, 40) {
		files := map[string][]byte{"": torn[""], "-wal": append([]byte(nil), torn["-wal"]...)}
		if i%2 == 0 {
			files["-shm"] = before["-shm"]
		}
		for lost := 0; lost == 0 || r.IntN(2) == 0; { // sectors that did not reach the disk
			at := max((begin+r.IntN(end-begin))/512*512, begin)
			sector := files["-wal"][at:min(at+512, end)]
			if len(bytes.Trim(sector, "\x00")) > 0 {
				clear(sector)
				lost++
			}
		}
		served := h.expectWhole(t, files, nil)
		// Goes on from there, is cut off again while it writes, and so on: the rest of the torn one is still in the log.
		again := h.expectWhole(t, served, func(m protocol.Methods) { mustSave(t, m, "a new one") })
		at := ends(served["-wal"], frame)
		clear(again["-wal"][at+24 : at+24+512])
		delete(again, "-shm")
		h.expectWhole(t, again, nil)
	}
}

func mustSave(t *testing.T, m protocol.Methods, id string) {
	t.Helper()
	if _, err := m.Save(guarded(t), id, []byte(`{}`)); err != nil {
		t.Error(err)
	}
}

// expectWhole opens the files, and expects all that was acknowledged; it gives the files as they are then, while open.
func (h *history) expectWhole(t *testing.T, files map[string][]byte, do func(protocol.Methods)) map[string][]byte {
	t.Helper()
	db := write(t, files)
	m, closeIt, err := library(t, db)
	if err != nil {
		t.Fatalf("a torn commit: %v", err)
	}
	defer closeIt()
	for id, want := range h.now {
		if reply, err := m.Load(guarded(t), id); err != nil || string(reply.State) != want.state {
			t.Fatalf("%s: %.60q, %v", id, reply.State, err)
		}
	}
	if do != nil {
		do(m)
	}
	return copyOf(t, db)
}

// copyOf gives the files of a database that is open. Nobody else uses it, so that lost locks on the index do no harm.
func copyOf(t *testing.T, db string) map[string][]byte { return read(t, db) }

// ends gives the byte at which the part of a log ends that SQLite would take, as far as one can see without its
// checksums: its last commit before the salts change.
func ends(log []byte, frame int) (end int) {
	end = 32
	for at := 32; at+frame <= len(log) && string(log[at+8:at+16]) == string(log[16:24]); at += frame {
		if binary.BigEndian.Uint32(log[at+4:]) != 0 {
			end = at + frame
		}
	}
	return end
}

// TestLogInUse looks at a log over and over while it is written to, and begun anew by its owner and by another process,
// and finds nothing wrong with it.
func TestLogInUse(t *testing.T) {
	db := write(t, nil)
	d := harness.Start(t, db, "--set", "store.wal_bytes=1MiB")
	load := startLoad(t, d)
	checks, cut := 0, 0
	for wanted := int64(long(300, 2000)); load.acks.Load() < wanted && !t.Failed(); checks++ {
		report, err := store.Check(guarded(t), db, store.Options{Readers: 1}, false)
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("%+v, %v", report, err)
		}
		if checks%10 == 0 {
			execute(t, db, "PRAGMA busy_timeout=5000", "PRAGMA wal_checkpoint(TRUNCATE)")
			cut++
		}
	}
	load.stop()
	if codes := load.codes(); len(codes) > 0 {
		t.Errorf("%v", codes)
	}
	t.Logf("%d checks beside %d saves; the log was begun anew %d times from outside", checks, load.acks.Load(), cut)
	d.Stop(t)
	harness.MustCheck(t, db)
}

// TestLogOfLowerDurability: where commits are not synced, a power cut may lose the last ones, as agreed. That is a warning,
// not a refusal.
func TestLogOfLowerDurability(t *testing.T) {
	h := historyOf(t, left)
	files := h.copyFiles()
	clear(files["-wal"][len(files["-wal"])/2:][:9000])
	if v := (&verdict{}); !v.check(t, write(t, files), false) {
		t.Fatal("nothing is lost")
	}
	d := harness.Start(t, write(t, files), "--set", "store.durability=normal")
	d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "committed changes are lost") })
	d.Stop(t)
}

// TestGoOnWithoutLog follows what the message says: the file can be opened again, with what is left.
func TestGoOnWithoutLog(t *testing.T) {
	h := historyOf(t, left)
	files := h.copyFiles()
	clear(files["-wal"][len(files["-wal"])/2:][:9000])
	db := write(t, files)
	_, _, err := library(t, db)
	if protocol.CodeOf(err) != protocol.CodeCorrupt {
		t.Fatalf("open says %v", err)
	}
	t.Log(err)
	if after := read(t, db); string(after["-wal"]) != string(files["-wal"]) || string(after[""]) != string(files[""]) {
		t.Error("the files were changed")
	}
	followAdvice(t, protocol.AsError(err).Message)
	m, closeIt, err := library(t, db)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt()
	n, err := m.Count(guarded(t), "")
	if err != nil || n < 250 {
		t.Errorf("%d agents are left, %v", n, err)
	}
	mustSave(t, m, "the next one")
}
