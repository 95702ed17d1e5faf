//go:build system && linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestDeploy_Unit has systemd read the unit. The program and the user of the unit need not be on this machine, so a copy
// names others.
func TestDeploy_Unit(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/stated.service")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/usr/local/bin/stated", "/bin/true", "User=stated", "User=root", "Group=stated", "Group=root").
		Replace(string(unit))
	path := filepath.Join(t.TempDir(), "stated.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := harness.Run(t, harness.Command{Path: tool(t, "systemd-analyze"), Args: []string{"verify", "--man=no", path}})
	if said := r.Stdout + r.Stderr; r.Code != 0 || strings.Contains(said, "stated.service") {
		t.Errorf("exit code %d\n%s", r.Code, said)
	}
}

// TestDeploy_Image builds the program with the line of the Containerfile, and runs it as its image would: in a root that
// has nothing else, as its user. (To build images needs more than a test should.)
func TestDeploy_Image(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can change its root")
	}
	file, err := os.ReadFile("../../deploy/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /stated (\S+)`).FindSubmatch(file)
	user := regexp.MustCompile(`(?m)^USER 65532:65532$`).Find(file)
	if line == nil || user == nil {
		t.Fatal("the Containerfile has no line that builds, or another user")
	}
	root := t.TempDir()
	harness.Open(t, root)
	build := exec.Command("sh", "-c", string(line[1])+" -o "+filepath.Join(root, "stated")+" "+string(line[2]))
	build.Dir, build.Env = "../..", append(os.Environ(), "VERSION=v1.2.3", "COMMIT=0a1b2c3d")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	data := filepath.Join(root, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command("/stated", args...)
		cmd.Path, cmd.Dir, cmd.Env, cmd.Stdin = "/stated", "/data", []string{}, strings.NewReader(stdin)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("stated %v: %v\n%s", args, err, said)
		}
		return string(said)
	}
	if said := run("", "version"); !strings.HasPrefix(said, "stated v1.2.3\ncommit 0a1b2c3d\ngo ") || !strings.Contains(said, "\nsqlite 3.") {
		t.Errorf("version: %q", said)
	}
	run(`{"turn":1}`, "save", "alice", "--db", "/data/stated.db")
	if said := run("", "load", "alice", "--db", "/data/stated.db"); said != `{"turn":1}` {
		t.Errorf("load: %q", said)
	}
	if said := run("", "check", "--deep", "--db", "/data/stated.db"); !strings.Contains(said, "sound") {
		t.Errorf("check: %q", said)
	}
}
