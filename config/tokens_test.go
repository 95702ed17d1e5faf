package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/config"
)

const secret = "s3cret-0123456789abcdef"

func TestTokens_Layers(t *testing.T) {
	text := `[{name: ops, token: ` + secret + `, role: admin}, {name: grafana, token_file: /run/g, role: read}]`
	want := []config.Token{{Name: "ops", Secret: secret, Role: "admin"}, {Name: "grafana", File: "/run/g", Role: "read"}}
	for name, src := range map[string]config.Source{
		"file":        {File: mustWrite(t, "auth: {tokens: "+text+"}")},
		"environment": {Environ: []string{"STATED_AUTH__TOKENS=" + text}},
		"JSON": {Environ: []string{`STATED_AUTH__TOKENS=[{"name":"ops","token":"` + secret + `","role":"admin"},` +
			`{"name":"grafana","token_file":"/run/g","role":"read"}]`}},
	} {
		loaded := mustLoad(t, src)
		if diff := cmp.Diff(want, loaded.Auth.Tokens); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		shown := fmt.Sprint(loaded.Values())
		if strings.Contains(shown, secret) || !strings.Contains(shown, "{name: ops, role: admin, token: (hidden)}") ||
			!strings.Contains(shown, "{name: grafana, role: read, token_file: /run/g}") {
			t.Errorf("%s is shown as %s", name, shown)
		}
	}
}

func TestTokens_Off(t *testing.T) {
	file := mustWrite(t, "auth: {tokens: [{name: ops, token_file: /run/t, role: admin}]}")
	for name, src := range map[string]config.Source{
		"environment": {File: file, Environ: []string{"STATED_AUTH__TOKENS="}},
		"flag":        {File: file, Set: []config.Setting{{Key: "auth.tokens", Value: "[]", Origin: "--set"}}},
	} {
		if got := mustLoad(t, src).Auth.Tokens; len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTokens_OnTheCommandLine(t *testing.T) {
	set := func(text string) config.Source {
		return config.Source{Set: []config.Setting{{Key: "auth.tokens", Value: text, Origin: "--set"}}}
	}
	got := problems(t, set(`[{name: ops, token: `+secret+`, role: admin}]`))
	if want := `auth.tokens (flag --set): token "ops" is on the command line, where others can read it: ` +
		"use token_file, the environment, or a file"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if tokens := mustLoad(t, set(`[{name: ops, token_file: /run/t, role: admin}]`)).Auth.Tokens; len(tokens) != 1 {
		t.Errorf("with a file: %v", tokens)
	}
}

// TestTokens_Bad looks at all that can be wrong, and that no message tells the secret.
func TestTokens_Bad(t *testing.T) {
	for text, want := range map[string]string{
		secret: "is not a list of tokens",
		"{name: ops, token: " + secret + ", role: read}": "is not a list of tokens",
		"[" + secret + "]":                                                                     "token 1 has no keys",
		"[[" + secret + "]]":                                                                   "token 1 has no keys",
		"[{name: a, tokn: " + secret + ", role: read}]":                                        "token 1 has a key that does not exist",
		"[{name: a, token: x, token: " + secret + ", role: read}]":                             "token 1 has a key that does not exist, or one twice",
		"[{" + secret + ": a}]":                                                                "token 1 has a key that does not exist",
		"[{name: a, token: 1234567890123456, role: read}]":                                     "token 1 has a token that is not a text: put it in quotes",
		"[{name: a, token: [" + secret + "], role: read}]":                                     "token 1 has a token that is not a text",
		"[{name: a, token: '', role: read}]":                                                   "token 1 has an empty token",
		"[{token: " + secret + ", role: read}]":                                                "token 1 has no name",
		"[{name: a, token: " + secret + ", token_file: /f, role: read}]":                       `token 1 ("a") has token and token_file`,
		"[{name: a, role: read}]":                                                              `token 1 ("a") has neither token_file nor token`,
		"[{name: a, token: " + secret + "}]":                                                   `token 1 ("a") has no role`,
		"[{name: a, token: " + secret + ", role: " + secret + "}]":                             `token 1 ("a") has no role, or one that does not exist`,
		"[{name: a b, token: " + secret + ", role: read}]":                                     `"a b" cannot name a token`,
		"[{name: a, token: " + secret + ", role: read}, {name: a, token_file: f, role: read}]": `there are two tokens named "a"`,
		"[{name: a, token: *" + secret + ", role: read}]":                                      "",
		"[{name: a, token: \"" + secret + ", role: read}]":                                     "",
		"[{name: a, token: !" + secret + " b, role: read}]":                                    "",
		"[{name: a, token_file: \"a\\0b\", role: read}]":                                       "cannot be a path",

		// All of them at once.
		"[{name: a, role: read}, {name: b, token_file: f, role: read}, {name: c, token_file: f}]": `token 1 ("a") has neither token_file nor token; token 3 ("c") has no role`,
	} {
		for layer, src := range map[string]config.Source{
			"file":        {File: mustWrite(t, "auth:\n  tokens: "+text+"\n")},
			"environment": {Environ: []string{"STATED_AUTH__TOKENS=" + text}},
		} {
			got := strings.Join(problems(t, src), "\n")
			if strings.Contains(got, secret) || strings.Contains(got, "0123456789") {
				t.Errorf("%s: %q tells the secret: %s", layer, text, got)
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q: %s, want %q", layer, text, got, want)
			}
		}
	}
}

func TestServer_Addresses(t *testing.T) {
	for text, want := range map[string]string{
		"server: {redis: '127.0.0.1:1', http: '127.0.0.1:1'}": `"127.0.0.1:1" is in server.redis, too`,
		"server: {redis: '127.0.0.1:0', http: '127.0.0.1:0'}": "",
		"server: {http: '0.0.0.0:1'}":                         "listening on other than loopback needs tokens (auth.tokens)",
		"server: {http: '127.0.0.1:1, 127.0.0.1:1'}":          "twice",
		"server: {http_hosts: ['http://a']}":                  `"http://a" is not a host name`,
		"server: {http_hosts: ['a:80']}":                      `"a:80" is not a host name`,
		"server: {tls: {cert: a}}":                            "server.tls.key (default): is empty, and server.tls.cert is not",
		"server: {tls: {key: a}}":                             "server.tls.cert (default): is empty, and server.tls.key is not",
		"server: {tls: {cert: \"a\\0\", key: b}}":             "server.tls.cert (file",
		"server: {tls: {cert: a, key: b, ca: c}}":             "no such key",
		"server: {tls: on}":                                   "is a group and cannot have a value",
		"server: {tls: {cert: {a: b}}}":                       "cannot have keys below it",
		"auth: {token: []}":                                   "did you mean auth.tokens?",
		"log: {slow_request: -1}":                             "log.slow_request",
		"log: {slow_request: 0}":                              "",
	} {
		src := config.Source{File: mustWrite(t, text)}
		if want == "" {
			mustLoad(t, src)
			continue
		}
		if got := problems(t, src); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
