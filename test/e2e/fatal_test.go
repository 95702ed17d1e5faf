package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// TestFatal: of a file that was moved, or that SQLite finds damaged, the daemon writes nothing more, whatever is asked of
// it. It says why, to clients, in INFO and in the log, and leaves the file as it is.
func TestFatal(t *testing.T) {
	for name, c := range map[string]struct {
		strike func(t *testing.T, db string) (file string)
		code   protocol.Code
		says   string
	}{
		"moved": {func(t *testing.T, db string) string {
			if err := os.Rename(db, db+".away"); err != nil {
				t.Fatal(err)
			}
			return db + ".away"
		}, protocol.CodeUnavailable, "was moved, replaced or removed"},
		"damaged": {func(t *testing.T, db string) string {
			overwrite(t, db, 2*4096, bytes.Repeat([]byte{0xfe}, 64*4096)) // behind the schema and the table of one row
			return db
		}, protocol.CodeCorrupt, "restore a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "agents.db") // which is not sound at the end
			mustMakeAgents(t, db, "agent", 3000)
			d := harness.Start(t, db)
			m := d.Client(t, resp.ClientOptions{}).Methods
			file := c.strike(t, db)
			eventually(t, "changes are refused", func() bool {
				_, err := m.Save(guarded(t), "agent17", []byte(`{"n":0}`))
				return errors.Is(err, c.code) || t.Failed()
			})
			before := content(t, file)
			for i := range 50 {
				_, err := m.Save(guarded(t), fmt.Sprintf("agent%d", 17*i), []byte(`{"n":0}`))
				if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("a save says %v", err)
				}
			}
			i := d.Info(t)
			if i["health"] != "failed" || !strings.Contains(i["health_reason"], c.says) {
				t.Errorf("INFO: health %q, reason %q", i["health"], i["health_reason"])
			}
			entry := d.Log(t, func(e harness.Entry) bool { return e.Is("error", "changes are refused") })
			if entry["code"] != string(c.code) || entry["error"] == nil {
				t.Errorf("the log says %v", entry)
			}
			d.Signal(t, syscall.SIGTERM)
			d.Wait(t)
			if !bytes.Equal(content(t, file), before) {
				t.Error("the file was written to")
			}
		})
	}
}

func overwrite(t *testing.T, path string, at int64, junk []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(junk, at)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
