package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestCLI_Secured gives commands what a daemon with tokens and TLS wants, and leaves each of it out once.
func TestCLI_Secured(t *testing.T) {
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	d := startSecured(t, dir, tokens(t, dir, "reader=read", "boss=admin")+
		fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key))
	file := func(name, text string) string {
		writeFile(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	secure := []string{"--addr", d.Addr, "--tls-ca", authority.File}
	boss := append([]string{"--token-file", filepath.Join(dir, "boss.token")}, secure...)
	cli{t, boss}.wants("revision 1\n", "{}", "save", "a")
	cli{t, append([]string{"--tls"}, boss...)}.wants("{}", "", "load", "a")
	cli{t, boss}.wants("1\n", "", "count")
	environment := harness.Run(t, harness.Command{
		Args: append([]string{"load", "a"}, secure...), Env: []string{"STATED_TOKEN=" + secretOf("reader")},
	})
	if environment.Code != 0 || environment.Stdout != "{}" || environment.Stderr != "" {
		t.Errorf("with STATED_TOKEN: %+v", environment)
	}
	both := harness.Run(t, harness.Command{
		Args: append([]string{"load", "a"}, boss...), Env: []string{"STATED_TOKEN=" + secretOf("nobody")},
	})
	if both.Code != 0 || both.Stdout != "{}" {
		t.Errorf("the file does not win over STATED_TOKEN: %+v", both)
	}
	for name, tc := range map[string]struct {
		target []string
		code   int
		want   []string
	}{
		"no token":                {secure, 1, []string{"token", "--token-file", "STATED_TOKEN"}},
		"a wrong token":           {append([]string{"--token-file", file("wrong", secretOf("nobody"))}, secure...), 1, []string{"token"}},
		"a missing file":          {append([]string{"--token-file", dir + "/none"}, secure...), 2, []string{dir + "/none"}},
		"an empty file":           {append([]string{"--token-file", file("empty", "\n")}, secure...), 2, []string{"empty"}},
		"a reader who saves":      {append([]string{"--token-file", filepath.Join(dir, "reader.token")}, secure...), 1, []string{"reader", "state.save"}},
		"no TLS":                  {append([]string{"--addr", d.Addr}, boss[:2]...), 5, []string{d.Addr, "--tls"}},
		"the system's trust":      {append([]string{"--addr", d.Addr, "--tls"}, boss[:2]...), 5, []string{d.Addr, "certificate", "--tls-ca"}},
		"a CA that is missing":    {append([]string{"--addr", d.Addr, "--tls-ca", dir + "/none"}, boss[:2]...), 2, []string{"--tls-ca", dir + "/none"}},
		"a CA that is no PEM":     {append([]string{"--addr", d.Addr, "--tls-ca", file("text", "text")}, boss[:2]...), 2, []string{"--tls-ca", "PEM"}},
		"a token for a file":      {[]string{"--db", d.DB, "--token-file", dir + "/boss.token"}, 2, []string{"--token-file", "--db"}},
		"TLS for a file":          {[]string{"--db", d.DB, "--tls"}, 2, []string{"--tls", "--db"}},
		"an empty name of a file": {append([]string{"--token-file", ""}, secure...), 2, []string{"--token-file is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := cli{t, tc.target}.run("{}", "save", "a")
			wantFailure(t, r, tc.code, tc.want...)
			if strings.Contains(r.Stderr, "secret-of-") {
				t.Errorf("the message tells a token: %q", r.Stderr)
			}
		})
	}
	plain := harness.Start(t, harness.File(t))
	r := cli{t, []string{"--addr", plain.Addr, "--tls-ca", authority.File}}.run("{}", "save", "a")
	wantFailure(t, r, 5, plain.Addr, "leave out --tls")
	wantFailure(t, cli{t, []string{"--addr", plain.HTTP}}.run("{}", "save", "a"), 5, plain.HTTP, "does not speak the Redis protocol")
}
