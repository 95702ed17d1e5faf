package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/config"
)

func TestLoad_BadFlags(t *testing.T) {
	const tokens = "listening on other than loopback needs tokens (auth.tokens)"
	for _, tt := range []struct{ key, value, want string }{
		{"store.path", "", "is empty"},
		{"store.path", "a\x00b", "zero byte"},
		{"store.path", ":memory:", "is not a path"},
		{"store.path", "file:x.db?mode=ro", "is not a path"},
		{"store.readers", "", `"" is not a whole number`},
		{"store.readers", "two", `"two" is not a whole number`},
		{"store.readers", "0x10", `"0x10" is not a whole number`},
		{"store.readers", "1.5", "1.5 is not a whole number"},
		{"store.readers", "99999999999999999999", "is not a whole number, or is out of range"},
		{"store.cache_bytes", "64M", `"64M" is not a size`},
		{"store.cache_bytes", "64mib", `"64mib" is not a size`},
		{"store.cache_bytes", "1.5GiB", `"1.5GiB" is not a size`},
		{"store.cache_bytes", "-1", `"-1" is not a size`},
		{"store.cache_bytes", "64  MiB", `"64  MiB" is not a size`},
		{"store.cache_bytes", "9223372036854775807KiB", "is too large"},
		{"store.cache_bytes", "9223372036854775808", "is too large"},
		{"store.cache_bytes", "1023KiB", "1023KiB is out of range: want 1MiB to 1TiB"},
		{"store.wal_bytes", "1023KiB", "1023KiB is out of range: want 1MiB to 1TiB"},
		{"limits.state_bytes", "513MiB", "513MiB is out of range: want 1 to 512MiB"},
		{"timeouts.request", "", `"" is not a duration`},
		{"timeouts.request", "1 s", `"1 s" is not a duration`},
		{"timeouts.request", "NaN", `"NaN" is not a duration`},
		{"timeouts.request", "99999999999999999999", "is not a duration"},
		{"timeouts.request", "25h", "25h0m0s is out of range"},
		{"timeouts.shutdown", "999us", "999µs is out of range"},
		{"timeouts.state_store_retry_jitter", "nan", `"nan" is not a number`},
		{"timeouts.state_store_retry_jitter", "-0.1", "-0.1 is out of range"},
		{"server.redis", "127.0.0.1", "is not an address"},
		{"server.redis", "127.0.0.1:", "has no valid port"},
		{"server.redis", "127.0.0.1:65536", "has no valid port"},
		{"server.redis", "127.0.0.1:-1", "has no valid port"},
		{"server.redis", "127.0.0.1:redis", "has no valid port"},
		{"server.redis", "::1:7828", "is not an address"},
		{"server.redis", ":7828", tokens},
		{"server.redis", "0.0.0.0:7828", tokens},
		{"server.redis", "[::]:7828", tokens},
		{"server.redis", "10.0.0.1:7828", tokens},
		{"server.redis", "127.0.0.1.example.org:7828", tokens},
		{"server.redis", "unix:", "has no path"},
		{"server.redis", "unix:@stated", "abstract"},
		{"server.redis", "unix:a\x00b", "zero byte"},
		{"server.redis", "unix:a\xffb", "not valid UTF-8"},
		{"server.redis", "unix:/" + strings.Repeat("x", 107), "108 bytes: a unix socket takes at most 107"},
		{"server.redis", "127.0.0.1:1,127.0.0.1:1", "twice"},
		{"server.redis", "127.0.0.1:1,,127.0.0.1:2", "an item of the list is empty"},
		{"server.redis", "[[127.0.0.1:1]]", "in the list is not a text"},
		{"server.redis", "[a: b: c]", "is not a text or a list"},
		{"log.level", "", `"" is not allowed`},
		{"", "1", "no such key"},
		{"store", "x", "no such key"},
		{"a\nb", "x", "no such key"},
		{"store.pat", "x", "no such key: did you mean store.path?"},
	} {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			got := problems(t, config.Source{Set: []config.Setting{{Key: tt.key, Value: tt.value, Origin: "--set"}}})
			begin := tt.key + " (flag --set): "
			switch tt.key {
			case "":
				begin = "flag --set: "
			case "a\nb": // a problem is one line
				begin = `"a\nb" (flag --set): `
			}
			if len(got) != 1 || !strings.HasPrefix(got[0], begin) || !strings.Contains(got[0], tt.want) {
				t.Errorf("got  %q\nwant one problem that begins with %q and contains %q", got, begin, tt.want)
			}
		})
	}
}

// TestLoad_NothingNear: no guess is better than a far one.
func TestLoad_NothingNear(t *testing.T) {
	got := problems(t, config.Source{Set: []config.Setting{{Key: "foo", Value: "x", Origin: "--set"}}})
	if want := "foo (flag --set): no such key"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoad_AllProblemsAtOnce(t *testing.T) {
	file := mustWrite(t, "store: {pth: a}\nactor: {batch: many}\nlimits: {state_bytes: 65MiB}\n")
	got := problems(t, config.Source{
		File:    file,
		Environ: []string{"STATED_STORE__READERS=-1", "STATED_LOG__LEVL=info"},
		Set: []config.Setting{
			{Key: "actor.batch", Value: "7", Origin: "--set"}, // what it overrides is wrong all the same
			{Key: "timeouts.request", Value: "soon", Origin: "--set"},
			{Key: "timeouts.state_store_lock", Value: "20", Origin: "--set"}, // no budget to fit into is known
			{Key: "server.redis", Value: "0.0.0.0:1", Origin: "--redis"},
		},
	})
	want := []string{
		"store.pth (file " + file + ", line 1): no such key: did you mean store.path?",
		"actor.batch (file " + file + `, line 2): "many" is not a whole number, or is out of range`,
		"log.levl (environment STATED_LOG__LEVL): no such key: did you mean STATED_LOG__LEVEL?",
		`timeouts.request (flag --set): "soon" is not a duration: want a number of seconds, or a text such as 4s, 100ms, 1m30s`,
		"store.readers (environment STATED_STORE__READERS): -1 is out of range: want 0 to 1024",
		"limits.request_bytes (default): 64MiB is too little: want at least the 65MiB of limits.state_bytes",
		"limits.output_bytes (default): 32MiB is too little: want at least the 65MiB of limits.state_bytes and 64KiB around it",
		`server.redis (flag --redis): "0.0.0.0:1" is not a loopback address such as 127.0.0.1 or localhost: ` +
			"listening on other than loopback needs tokens (auth.tokens)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestLoad_FileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.yaml")
	for path, want := range map[string]string{
		missing: "file " + missing + ": cannot be read: no such file or directory",
		dir:     "file " + dir + ": cannot be read: is a directory",
	} {
		// The bad variable is reported too; the lock is not, since the file may have raised timeouts.request.
		got := problems(t, config.Source{File: path, Environ: []string{"STATED_X=1", "STATED_TIMEOUTS__STATE_STORE_LOCK=60"}})
		if diff := cmp.Diff([]string{want, "x (environment STATED_X): no such key"}, got); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
	}
}
