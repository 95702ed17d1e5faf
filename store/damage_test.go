package store_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestChecksum: a bit that flipped inside a state is reported, never served, and healed by the next save.
func TestChecksum(t *testing.T) {
	path := tempDB(t)
	s, err := store.Open(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, save("a", `{"text":"needle in a haystack"}`), save("b", "1"))
	mustClose(t, s)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := indexOf(t, file, "needle")
	file[at] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}

	if n := mustQuery[string](t, mustOutsider(t, path), "PRAGMA integrity_check"); n != "ok" {
		t.Fatalf("SQLite sees it by itself: %s", n)
	}
	if report := mustCheck(t, path); len(report.Problems) != 1 || report.Checked != 2 {
		t.Errorf("deep check: %+v", report)
	}
	shallow, err := store.Check(t.Context(), path, impatient(), false)
	if err != nil || len(shallow.Problems) != 0 || shallow.Checked != 0 {
		t.Errorf("check: %+v, %v", shallow, err)
	}
	s = mustOpen(t, path, impatient())
	_, err = load(t, s, "a")
	wantCode(t, err, protocol.CodeCorrupt)
	_, err = read(t, s, txn(must(protocol.Load("b")), must(protocol.Load("a"))))
	wantCode(t, err, protocol.CodeCorrupt)
	_, err = apply1(t, s, txn(save("c", "1"), must(protocol.Load("a"))))
	wantCode(t, err, protocol.CodeCorrupt)
	if r, err := load(t, s, "b"); err != nil || string(r.State) != "1" {
		t.Errorf("b: %s, %v", r.State, err)
	}
	if r, err := read(t, s, must(protocol.List("", "", 0))); err != nil || len(r.Entries) != 2 {
		t.Errorf("list: %+v, %v", r, err)
	}
	if r, err := apply1(t, s, save("a", "2", protocol.IfRevision(1))); err != nil || r.Revision != 3 {
		t.Errorf("save: %+v, %v", r, err)
	}
	if r, err := load(t, s, "a"); err != nil || string(r.State) != "2" {
		t.Errorf("healed: %s, %v", r.State, err)
	}
}

// TestLoad_CounterGone: without the counter nobody can tell whether a row of plain SQL is sound; the others can be read.
func TestLoad_CounterGone(t *testing.T) {
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, impatient())
	mustApply(t, s, save("ours", "1"))
	outside := mustOutsider(t, path)
	mustExec(t, outside, pySave, "theirs", "2")
	if r, err := load(t, s, "theirs"); err != nil || string(r.State) != "2" {
		t.Fatalf("%q, %v", r.State, err)
	}
	mustExec(t, outside, "DELETE FROM stated_meta")
	_, err := load(t, s, "theirs")
	wantCode(t, err, protocol.CodeCorrupt)
	if r, err := load(t, s, "ours"); err != nil || string(r.State) != "1" {
		t.Errorf("%q, %v", r.State, err)
	}
}

func indexOf(t *testing.T, file []byte, text string) int {
	t.Helper()
	for i := range len(file) - len(text) {
		if string(file[i:i+len(text)]) == text {
			return i
		}
	}
	t.Fatalf("%q is not in the file", text)
	return 0
}

// TestDamagedFile: a page of garbage is an error of the file, not a crash, and not "not found".
func TestDamagedFile(t *testing.T) {
	path := tempDB(t)
	s, err := store.Open(t.Context(), path, impatient())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		mustApply(t, s, save(fmt.Sprint("agent", i), `"0123456789012345678901234567890123456789"`))
	}
	mustClose(t, s)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := indexOf(t, file, "0123456789") / 4096 * 4096
	for i := range 4096 {
		file[page+i] = byte(i*7 + 3)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if report := mustCheck(t, path); len(report.Problems) == 0 {
		t.Error("check finds nothing")
	}
	s, err = store.Open(t.Context(), path, impatient())
	if err != nil { // the damaged page is needed to open it
		wantCode(t, err, protocol.CodeCorrupt)
		return
	}
	defer mustClose(t, s)
	damaged := 0
	for i := range 400 {
		if _, err := load(t, s, fmt.Sprint("agent", i)); errors.Is(err, protocol.CodeCorrupt) {
			damaged++
		} else if err != nil {
			t.Errorf("agent%d: %v", i, err)
		}
	}
	if damaged == 0 {
		t.Error("every agent is served")
	}
}
