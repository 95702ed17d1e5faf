package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestSecrets looks for tokens in everything that the daemon says, and that is not meant for their owner: the ones it
// knows, and wrong ones, which may be those of another daemon.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	config := tokens(t, dir, "boss=admin") + "    - {name: inline, token: " + secretOf("inline") + ", role: read}\nlog: {level: trace}\n"
	d := startSecured(t, dir, config)
	said := map[string]string{}
	for _, token := range []string{"", secretOf("wrong"), secretOf("boss"), secretOf("inline")} {
		w := d.web(t, token)
		for _, path := range []string{
			"/v1/agents/a", "/v1/info", "/metrics", "/readyz?verbose", "/nothing", "/v1/agents?access_token=" + secretOf("wrong"),
		} {
			said[token+path] = w.do("GET", path, "").body
		}
		said[token+" twice"] = w.do("GET", "/v1/agents/a", "", "Authorization", "Basic "+secretOf("wrong")).body
		c := dialRaw(t, d.Addr)
		for _, command := range [][]string{
			{"AUHT", token}, {"AUTH", token, "x", "y"}, {"HELLO", "2", "AUTH", token}, {"AUTH", token, token}, {"AUTH", "boss", token},
			{"AUTH", token}, {"INFO"}, {"INFO", "everything"}, {"CLIENT", "LIST"}, {"CLIENT", "INFO"}, {"CONFIG", "GET", "*"}, {"HELLO", "2"},
		} {
			c.send(command...)
			reply, err := c.read()
			said[token+strings.Join(command, " ")] = fmt.Sprint(reply)
			if err != nil { // it is not looked at here when a connection has to end
				c = dialRaw(t, d.Addr)
			}
		}
	}
	d.web(t, secretOf("boss")).wants(http.StatusCreated, "", "PUT", "/v1/agents/a", "1")
	d.mustReload(t)
	d.write(t, "stated.yaml", config+"    "+secretOf("broken")+": [\n")
	if e := d.reload(t); e["level"] != "error" {
		t.Errorf("a broken file is taken over: %v", e)
	}
	d.write(t, "stated.yaml", config)
	file := filepath.Join(dir, "stated.yaml")
	for _, args := range [][]string{
		{"config", "--config", file}, {"config", "--config", file, "--json"},
		{"config", "--set", "auth.tokens=[{name: set, token: " + secretOf("set") + ", role: read}]"},
	} {
		r := harness.CLI(t, args...)
		said["stated "+strings.Join(args[:1], " ")+args[len(args)-1]] = r.Stdout + r.Stderr
	}
	r := harness.Run(t, harness.Command{
		Args: []string{"config"},
		Env:  []string{"STATED_AUTH__TOKENS=[{name: env, token: " + secretOf("env") + ", role: read}]"},
	})
	wantText(t, r.Stdout, "env")
	said["stated config, of the environment"] = r.Stdout + r.Stderr
	d.Stop(t)
	said["the log"] = d.All()
	wantText(t, said["the log"], "token that is not good", `"level":"debug"`, "stopped")
	for where, text := range said {
		if strings.Contains(text, "secret-of-") {
			t.Errorf("%q tells a token: %.2000s", where, text)
		}
	}
}
