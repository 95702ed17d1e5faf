package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestReload_Tokens changes what connections may do that are open already.
func TestReload_Tokens(t *testing.T) {
	dir := t.TempDir()
	d := startSecured(t, dir, tokens(t, dir, "one=write", "two=write", "boss=admin"))
	one, two, boss := d.web(t, secretOf("one")), d.web(t, secretOf("two")), d.web(t, secretOf("boss"))
	for _, w := range []*web{one, two, boss} {
		w.wants(http.StatusCreated, "", "PUT", "/v1/agents/"+w.token, "1")
	}

	d.write(t, "stated.yaml", tokens(t, dir, "two=read", "boss=admin", "three=write"))
	d.mustReload(t)
	one.wants(http.StatusUnauthorized, "UNAUTHENTICATED", "GET", "/v1/agents/a", "")
	two.wants(http.StatusForbidden, "FORBIDDEN", "PUT", "/v1/agents/a", "1")
	two.wants(http.StatusOK, "3", "GET", "/v1/count", "")
	boss.wants(http.StatusCreated, "", "PUT", "/v1/agents/a", "1")
	d.web(t, secretOf("three")).wants(http.StatusOK, "", "PUT", "/v1/agents/a", "1")

	writeFile(t, filepath.Join(dir, "two.token"), secretOf("changed"))
	d.mustReload(t)
	two.wants(http.StatusUnauthorized, "UNAUTHENTICATED", "GET", "/v1/count", "")
	two.token = secretOf("changed")
	two.wants(http.StatusOK, "4", "GET", "/v1/count", "")

	d.write(t, "stated.yaml", "{}\n")
	d.mustReload(t)
	d.web(t, "").wants(http.StatusOK, `"deleted":4`, "DELETE", "/v1/agents?confirm=all", "")
}

// TestReload_Refused shows that nothing changes when anything is wrong with the new configuration.
func TestReload_Refused(t *testing.T) {
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	other := authority.Issue(t, t.TempDir())
	secure := fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key)
	good := tokens(t, dir, "boss=admin") + secure
	d := startSecured(t, dir, good)
	w := dialWeb(t, d.HTTP, authority.Trust())
	for name, config := range map[string]string{
		"no YAML":                        "auth: [",
		"an unknown key":                 good + "log: {lvl: info}\n",
		"a level that is none":           good + "log: {level: loud}\n",
		"a token file that is missing":   strings.Replace(good, "boss.token", "lost.token", 1),
		"a role that is none":            strings.Replace(good, "role: admin", "role: king", 1),
		"a certificate that is missing":  strings.Replace(good, pair.Cert, pair.Cert+".old", 1),
		"a key of another certificate":   strings.Replace(good, pair.Key, other.Key, 1),
		"a key without a certificate":    strings.Replace(good, "cert: "+pair.Cert+", ", "", 1),
		"a certificate that is no PEM":   strings.Replace(good, pair.Cert, filepath.Join(dir, "boss.token"), 1),
		"a new token beside a bad level": tokens(t, dir, "boss=admin", "new=admin") + secure + "log: {level: loud}\n",
	} {
		t.Run(name, func(t *testing.T) {
			d.write(t, "stated.yaml", config)
			if e := d.reload(t); !e.Is("error", "not reloaded") || e["error"] == "" || strings.Contains(fmt.Sprint(e), secretOf("boss")) {
				t.Errorf("the log says %v", e)
			}
			for token, want := range map[string]int{"": 401, secretOf("new"): 401, secretOf("boss"): 404} {
				w.client.CloseIdleConnections()
				w.token = token
				w.wants(want, "", "GET", "/v1/agents/a", "")
			}
		})
	}
	if err := os.Remove(filepath.Join(dir, "stated.yaml")); err != nil {
		t.Fatal(err)
	}
	if e := d.reload(t); !e.Is("error", "not reloaded") {
		t.Errorf("without a file the log says %v", e)
	}
	d.write(t, "stated.yaml", good+"store: {readers: 3}\n")
	d.mustReload(t)
	d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "next start") && e["key"] == "store.readers" })
}

// TestReload_Exposed: a configuration that would do for a new daemon, on loopback without tokens, leaves the one that runs
// its tokens, since that goes on listening to everybody.
func TestReload_Exposed(t *testing.T) {
	d := &secured{dir: t.TempDir()}
	text := tokens(t, d.dir, "boss=admin")
	d.write(t, "stated.yaml", text+"server: {redis: '0.0.0.0:0', http: '127.0.0.1:0'}\n")
	d.Daemon = harness.StartBare(t, harness.Command{Args: []string{"--config", filepath.Join(d.dir, "stated.yaml")}}, harness.File(t))
	d.write(t, "stated.yaml", "server: {redis: '127.0.0.1:0', http: '127.0.0.1:0'}\n")
	if e := d.reload(t); !e.Is("error", "not reloaded") || !strings.Contains(fmt.Sprint(e["error"]), "other than loopback") {
		t.Errorf("the log says %v", e)
	}
	d.web(t, "").wants(http.StatusUnauthorized, "", "GET", "/v1/agents/a", "")
	d.web(t, secretOf("boss")).wants(http.StatusNotFound, "", "GET", "/v1/agents/a", "")
}

// TestReload_LogLevel has the daemon tell more, and less again.
func TestReload_LogLevel(t *testing.T) {
	dir := t.TempDir()
	d := startSecured(t, dir, "log: {level: info}\n")
	w := d.web(t, "")
	ask := func(id string) { w.wants(http.StatusNotFound, "", "GET", "/v1/agents/none", "", "X-Request-Id", id) }
	of := func(id string) func(harness.Entry) bool {
		return func(e harness.Entry) bool { return e["request_id"] == id && e["level"] == "debug" }
	}
	level := func(name string) {
		d.write(t, "stated.yaml", "log: {level: "+name+"}\n")
		d.mustReload(t)
	}
	ask("first")
	level("debug")
	ask("second")
	level("info")
	ask("third")
	level("debug")
	ask("fourth")
	d.Log(t, of("fourth")) // so that what the others have caused is there, too
	for id, want := range map[string]int{"first": 0, "second": 1, "third": 0} {
		if list := d.Logs(of(id)); len(list) != want {
			t.Errorf("of the %s request the log tells %v", id, list)
		}
	}
}

// TestReload_Flag shows that a flag, which nobody can change, wins over the file after a reload too.
func TestReload_Flag(t *testing.T) {
	dir := t.TempDir()
	d := startSecured(t, dir, "log: {level: warn}\n", "--log-level", "info")
	d.write(t, "stated.yaml", "log: {level: error}\n")
	d.mustReload(t) // which is told at level info
}
