package store_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestApply_NoticesPresence: another process is seen as soon as it has used the file, before it changes anything.
func TestApply_NoticesPresence(t *testing.T) {
	path := tempDB(t)
	s := mustOpen(t, path, impatient())
	mustApply(t, s, save("a", "1"))
	if s.OthersUse() {
		t.Error("seen with nobody there")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "STATED_TEST_READ="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil { // it has read
		t.Fatal(err)
	}
	if !s.OthersUse() {
		t.Error("not seen")
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if s.OthersUse() {
		t.Error("still seen")
	}
}
