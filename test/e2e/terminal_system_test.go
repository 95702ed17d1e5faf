//go:build system

package e2e

import (
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// onTerminal runs a daemon on a terminal until it is ready, ends it, and prints what the terminal got.
const onTerminal = `
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, ended = b"", False
while True:
    try:
        got = os.read(terminal, 4096)
    except OSError:
        break
    seen += got
    if not got:
        break
    if b"tokens=" in seen and not ended:
        os.kill(pid, signal.SIGTERM)
        ended = True
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

// TestServe_OnATerminal: the log is for people, and has colours unless they are not wanted.
func TestServe_OnATerminal(t *testing.T) {
	python, stated := tool(t, "python3"), harness.Build(t, harness.Stated)
	for name, colours := range map[string]bool{"NO_COLOR=": true, "NO_COLOR=1": false} {
		r := harness.Run(t, harness.Command{
			Path: python, Env: []string{name},
			Args: []string{"-c", onTerminal, stated, "serve", "--db", harness.File(t), "--redis", "127.0.0.1:0", "--http", ""},
		})
		if r.Code != 0 || !strings.Contains(r.Stdout, "try: redis-cli") || !strings.Contains(r.Stdout, "stopped") {
			t.Errorf("%s: %+v", name, r)
		}
		if strings.Contains(r.Stdout, `"level"`) || strings.Contains(r.Stdout, "\x1b[") != colours {
			t.Errorf("%s: the terminal shows %q", name, r.Stdout)
		}
	}
}
