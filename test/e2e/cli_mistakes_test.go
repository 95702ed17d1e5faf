package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestCLI_Mistakes: what is wrong is said, and makes no file.
func TestCLI_Mistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	none := cli{t, []string{"--db", path}}
	wantFailure(t, none.run("{", "save", "alice"), 2, "state is not JSON")
	wantFailure(t, none.run("1", "save", "a\nb"), 2, "control character")
	wantFailure(t, none.run("", "delete", "alice"), 2, path+" does not exist")
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) != 0 || err != nil {
		t.Errorf("%v was made (%v)", left, err)
	}
	wantFailure(t, cli{t, nil}.run("", "completion", "bsh"), 2, "bash, fish")
}

// TestCLI_OddRows: what other programs and clients have written can be looked at.
func TestCLI_OddRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plain.db")
	makePlain(t, path)
	outsideNow(t, "exec", path, "INSERT INTO agent_state (agent_id, state_json) VALUES (?, ?)", "raw", "nope")
	c := cli{t, []string{"--db", path}}
	c.wants("nope", "", "load", "raw")
	wantFailure(t, c.run("", "load", "raw", "--json"), 1, `"raw"`, "without --json")
	c.wants("revision 2\n", "1", "save", "a\u009bb") // CSI: a terminal may obey it
	if r := c.run("", "list"); r.Code != 0 || !strings.Contains(r.Stdout, `"a\u009bb"`) {
		t.Errorf("list: %+v", r)
	}
	if r := c.run("", "check", "--deep"); r.Code != 0 || !strings.Contains(r.Stdout, "rows of other programs have none") {
		t.Errorf("check: %+v", r)
	}
}

// TestCLI_Unknown: a script can tell a change that may have been applied from one that was not.
func TestCLI_Unknown(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	c := cli{t, []string{"--addr", d.Addr}}
	c.wants("revision 1\n", "1", "save", "alice")
	if err := os.Rename(db, db+".moved"); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, c.run("2", "save", "alice"), 7, "load the agent")
	wantFailure(t, c.run("3", "save", "alice"), 5, "")
}
