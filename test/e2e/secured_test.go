package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stated/stated/test/harness"
)

// secretOf gives the token of a name.
func secretOf(name string) string { return "secret-of-" + name + "-c0ffee5eed" }

// secured is a daemon with a configuration file, which a test may write anew.
type secured struct {
	*harness.Daemon
	dir string
}

// startSecured runs a daemon on free ports with this configuration file.
func startSecured(t *testing.T, dir, config string, args ...string) *secured {
	t.Helper()
	s := &secured{dir: dir}
	s.write(t, "stated.yaml", config)
	args = append([]string{"--config", filepath.Join(dir, "stated.yaml"), "--redis", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)
	s.Daemon = harness.StartBare(t, harness.Command{Args: args}, harness.File(t))
	return s
}

func (s *secured) write(t *testing.T, name, text string) {
	t.Helper()
	writeFile(t, filepath.Join(s.dir, name), text)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tokens is the part of a configuration file about tokens, each written as NAME=ROLE. Their files are made, too.
func tokens(t *testing.T, dir string, list ...string) string {
	t.Helper()
	text := "auth:\n  tokens:\n"
	for _, entry := range list {
		name, role, _ := strings.Cut(entry, "=")
		file := filepath.Join(dir, name+".token")
		writeFile(t, file, secretOf(name)+"\n")
		text += fmt.Sprintf("    - {name: %s, token_file: %s, role: %s}\n", name, file, role)
	}
	return text
}

// reload sends SIGHUP, and gives the line of the log that tells how it went.
func (s *secured) reload(t *testing.T) harness.Entry {
	t.Helper()
	told := func(e harness.Entry) bool { return strings.Contains(e.Message(), "reloaded") }
	before := len(s.Logs(told))
	s.Signal(t, syscall.SIGHUP)
	var lines []harness.Entry
	eventually(t, "the daemon tells how the reload went", func() bool {
		lines = s.Logs(told)
		return len(lines) > before
	})
	return lines[before]
}

// mustReload expects that the reload succeeds.
func (s *secured) mustReload(t *testing.T) {
	t.Helper()
	if e := s.reload(t); !e.Is("info", "reloaded") || e.Message() != "reloaded" {
		t.Fatalf("not reloaded: %v", e)
	}
}

// signIn opens a connection of the Redis protocol, with a token if there is one.
func (s *secured) signIn(t *testing.T, token string) *rawConn {
	t.Helper()
	c := dialRaw(t, s.Addr)
	if token != "" {
		wantReply(t, c.do("AUTH", token), "OK")
	}
	return c
}

// web gives a client with a token, if there is one.
func (s *secured) web(t *testing.T, token string) *web {
	t.Helper()
	w := dialWeb(t, s.HTTP, nil)
	w.token = token
	return w
}
