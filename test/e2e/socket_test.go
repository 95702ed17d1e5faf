package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// shortDir makes a folder with a short name, as the name of a socket must be.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// wantText expects all of these in a text.
func wantText(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in %.1000q", w, text)
		}
	}
}

// TestUnixSocket_HTTP is TestUnixSocket for the other front end.
func TestUnixSocket_HTTP(t *testing.T) {
	path := filepath.Join(shortDir(t), "http.sock")
	db := harness.File(t)
	d := harness.Start(t, db, "--http", "unix:"+path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 || info.Mode().Type() != os.ModeSocket {
		t.Fatalf("the socket has mode %v, %v", info.Mode(), err)
	}
	dialWeb(t, d.HTTP, nil).wants(http.StatusCreated, `"revision":1`, "PUT", "/v1/agents/a", "1")

	other := harness.File(t)
	wantFailure(t, harness.CLI(t, "serve", "--db", other, "--redis", "", "--http", "unix:"+path), 1, path, "in use")
	dialWeb(t, d.HTTP, nil).wants(http.StatusOK, "1", "GET", "/v1/agents/a", "")
	d.Kill()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("kill -9 left no socket: %v", err)
	}
	d = harness.Start(t, db, "--http", "unix:"+path)
	dialWeb(t, d.HTTP, nil).wants(http.StatusOK, `"revision":2`, "PUT", "/v1/agents/a", "2", "If-Match", `"1"`)
	d.Stop(t)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	writeFile(t, path, "a file")
	wantFailure(t, harness.CLI(t, "serve", "--db", other, "--redis", "", "--http", "unix:"+path), 2, path, "not a socket")
}
