package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stated/stated/config"
)

func defaults() config.Config {
	return config.Config{
		Store: config.Store{Path: "stated.db", Durability: "full", Readers: 0, CacheBytes: 64 << 20, HotBytes: 32 << 20, WALBytes: 256 << 20, WALWrites: "gathered", Commits: "pipelined"},
		Actor: config.Actor{Mailbox: 4096, MailboxBytes: 256 << 20, Batch: 1024, BatchBytes: 16 << 20},
		Limits: config.Limits{
			StateBytes: 8 << 20, RequestBytes: 64 << 20, InflightBytes: 512 << 20, OutputBytes: 32 << 20,
			Connections: 10_000,
		},
		Timeouts: config.Timeouts{
			StateStoreLock: 4 * time.Second, StateStoreRetryMax: 5, StateStoreRetryBase: 100 * time.Millisecond,
			StateStoreRetryMaxDelay: 5 * time.Second, StateStoreRetryJitter: 0.1,
			Request: 30 * time.Second, Shutdown: 30 * time.Second,
		},
		Server: config.Server{Redis: []string{"127.0.0.1:7828"}, HTTP: []string{"127.0.0.1:7829"}, HTTPHosts: []string{}},
		Auth:   config.Auth{Tokens: []config.Token{}},
		Log:    config.Log{Level: "info", Format: "auto", SlowRequest: time.Second},
	}
}

func mustLoad(tb testing.TB, src config.Source) *config.Loaded {
	tb.Helper()
	loaded, err := config.Load(src)
	if err != nil {
		tb.Fatalf("Load(%q): %v", src, err)
	}
	return loaded
}

// problems loads what has to be refused, and gives the lines of the error.
func problems(tb testing.TB, src config.Source) []string {
	tb.Helper()
	loaded, err := config.Load(src)
	var all config.Problems
	if !errors.As(err, &all) || loaded != nil {
		tb.Fatalf("Load(%q) = %+v, %v; want nothing but Problems", src, loaded, err)
	}
	return strings.Split(err.Error(), "\n")
}

func mustWrite(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "stated.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestLoad_Defaults(t *testing.T) {
	loaded := mustLoad(t, config.Source{})
	if diff := cmp.Diff(defaults(), loaded.Config); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestKeys_AreThoseOfConfigYAML(t *testing.T) {
	var doc yaml.Node
	if err := yaml.Unmarshal(config.DefaultYAML(), &doc); err != nil {
		t.Fatal(err)
	}
	var want []string
	var walk func(prefix string, node *yaml.Node)
	walk = func(prefix string, node *yaml.Node) {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if key, value := prefix+node.Content[i].Value, node.Content[i+1]; value.Kind == yaml.MappingNode {
				walk(key+".", value)
			} else {
				want = append(want, key)
			}
		}
	}
	walk("", doc.Content[0])
	if diff := cmp.Diff(want, config.Keys()); diff != "" {
		t.Errorf("keys of config.yaml and Keys() (-want +got):\n%s", diff)
	}
}

func TestDefaultYAML_IsACopy(t *testing.T) {
	config.DefaultYAML()[0] = '!'
	if got := config.DefaultYAML()[0]; got != '#' {
		t.Errorf("the embedded file begins with %q after a caller changed its copy", got)
	}
}

func TestLoad_LaterLayersWin(t *testing.T) {
	file := mustWrite(t, "actor: {mailbox: 1, batch: 2, mailbox_bytes: 128MiB}\nstore: {path: file.db}\n")
	loaded := mustLoad(t, config.Source{
		File:    file,
		Environ: []string{"HOME=/root", "STATED_ACTOR__BATCH=3", "STATED_ACTOR__MAILBOX_BYTES=129MiB", "STATED_STORE__PATH=env.db"},
		Set: []config.Setting{
			{Key: "actor.mailbox_bytes", Value: "130MiB", Origin: "--set"},
			{Key: "store.path", Value: "first.db", Origin: "--db"},
			{Key: "store.path", Value: "second.db", Origin: "--set"},
		},
	})
	want := defaults()
	want.Actor = config.Actor{Mailbox: 1, Batch: 3, MailboxBytes: 130 << 20, BatchBytes: 16 << 20}
	want.Store.Path = "second.db"
	if diff := cmp.Diff(want, loaded.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}

	origins := map[string]string{}
	for _, v := range loaded.Values() {
		if v.Origin != "default" {
			origins[v.Key] = v.Origin
		}
	}
	wantOrigins := map[string]string{
		"actor.mailbox":       "file " + file,
		"actor.batch":         "environment STATED_ACTOR__BATCH",
		"actor.mailbox_bytes": "flag --set",
		"store.path":          "flag --set",
	}
	if diff := cmp.Diff(wantOrigins, origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

func TestLoaded_Values(t *testing.T) {
	set := []config.Setting{
		{Key: "server.redis", Value: `["unix:/a, b", "[::1]:1"]`},
		{Key: "store.cache_bytes", Value: "2000001"}, // no whole number of any unit
		{Key: "store.path", Value: " 5 "},
		{Key: "timeouts.state_store_lock", Value: "0.25"},
		{Key: "timeouts.state_store_retry_jitter", Value: "0.00001"},
	}
	loaded := mustLoad(t, config.Source{Set: set})
	var keys []string
	got := map[string]any{}
	var again []config.Setting
	for _, v := range loaded.Values() {
		keys = append(keys, v.Key)
		got[v.Key] = v.Value
		again = append(again, config.Setting{Key: v.Key, Value: v.String()})
	}
	if diff := cmp.Diff(config.Keys(), keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	want := map[string]any{
		"server.redis": []string{"unix:/a, b", "[::1]:1"}, "store.cache_bytes": "2000001", "store.path": " 5 ",
		"timeouts.state_store_lock": "250ms", "timeouts.state_store_retry_jitter": 1e-5,
		"actor.mailbox": int64(4096), "limits.state_bytes": "8MiB",
	}
	for key, value := range want {
		if diff := cmp.Diff(value, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if diff := cmp.Diff(loaded.Config, mustLoad(t, config.Source{Set: again}).Config); diff != "" {
		t.Errorf("the values, set again, make another configuration (-first +second):\n%s", diff)
	}
}

func TestLoad_Listeners(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", []string{}},
		{"  ", []string{}},
		{"[]", []string{}},
		{"localhost:0", []string{"localhost:0"}},
		{"127.0.0.1:1,127.9.9.9:2 , unix:x", []string{"127.0.0.1:1", "127.9.9.9:2", "unix:x"}},
		{"[127.0.0.1:1, unix:/x]", []string{"127.0.0.1:1", "unix:/x"}},
		{"[::1]:1", []string{"[::1]:1"}},
		{"[::1]:1,[::1]:2", []string{"[::1]:1", "[::1]:2"}},
		{"127.0.0.1:0,127.0.0.1:0", []string{"127.0.0.1:0", "127.0.0.1:0"}},
		{"unix:/" + strings.Repeat("x", 106), []string{"unix:/" + strings.Repeat("x", 106)}},
	} {
		set := config.Source{Set: []config.Setting{{Key: "server.redis", Value: tt.text}}}
		env := config.Source{Environ: []string{"STATED_SERVER__REDIS=" + tt.text}}
		for _, src := range []config.Source{set, env} {
			if diff := cmp.Diff(tt.want, mustLoad(t, src).Server.Redis); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.text, diff)
			}
		}
	}
}

func TestLoad_Environment(t *testing.T) {
	environ := []string{
		"STATEDX=1", "stated_store__path=x", "STATED_ADDR=x", "STATED_CONFIG=x", "NOVALUE", "",
		// What Kubernetes sets for services named stated and stated-blue.
		"STATED_SERVICE_HOST=10.0.0.1", "STATED_SERVICE_PORT=7828", "STATED_SERVICE_PORT_REDIS=7828",
		"STATED_PORT=tcp://10.0.0.1:7828", "STATED_PORT_7828_TCP=tcp://10.0.0.1:7828", "STATED_PORT_7828_TCP_PROTO=tcp",
		"STATED_PORT_7828_TCP_PORT=7828", "STATED_PORT_7828_TCP_ADDR=10.0.0.1", "STATED_BLUE_SERVICE_HOST=10.0.0.2",
	}
	if diff := cmp.Diff(defaults(), mustLoad(t, config.Source{Environ: environ}).Config); diff != "" {
		t.Errorf("variables that mean nothing here changed the configuration (-want +got):\n%s", diff)
	}

	got := problems(t, config.Source{Environ: []string{
		"STATED_STORE_PATH=x", "STATED_PORT=7828", "STATED_TOKENS=x", "STATED_=x", "STATED_store__path=x", "STATED_ACTOR__BATCH=",
	}})
	want := []string{
		"store_path (environment STATED_STORE_PATH): no such key: did you mean STATED_STORE__PATH?",
		"port (environment STATED_PORT): no such key",
		"tokens (environment STATED_TOKENS): no such key: did you mean STATED_AUTH__TOKENS?",
		"environment STATED_: no such key",
		"store.path (environment STATED_store__path): no such key: did you mean STATED_STORE__PATH?",
		`actor.batch (environment STATED_ACTOR__BATCH): "" is not a whole number, or is out of range`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestLoad_LockBudget moves timeouts.request to both sides of the budget.
func TestLoad_LockBudget(t *testing.T) {
	for _, tt := range []struct {
		lock, retries, base, most, jitter string
		budget                            time.Duration
	}{
		{"4", "5", "0.1", "5", "0.1", 27_410 * time.Millisecond}, // 24 s, and 0.1+0.2+0.4+0.8+1.6 s and a tenth
		{"4", "0", "0.1", "5", "0.1", 4 * time.Second},
		{"1", "4", "1", "3", "0", 14 * time.Second}, // 5 s, and 1+2+3+3 s
		{"1", "1", "2", "2", "1", 6 * time.Second},  // 2 s, and 2 s twice
	} {
		set := []config.Setting{
			{Key: "timeouts.state_store_lock", Value: tt.lock},
			{Key: "timeouts.state_store_retry_max", Value: tt.retries},
			{Key: "timeouts.state_store_retry_base", Value: tt.base},
			{Key: "timeouts.state_store_retry_max_delay", Value: tt.most},
			{Key: "timeouts.state_store_retry_jitter", Value: tt.jitter},
		}
		enough := config.Setting{Key: "timeouts.request", Value: tt.budget.String()}
		mustLoad(t, config.Source{Set: append(set, enough)})
		less := config.Setting{Key: "timeouts.request", Value: (tt.budget - time.Nanosecond).String()}
		got := problems(t, config.Source{Set: append(set, less)})
		want := fmt.Sprintf("%s is less than the budget for a lock of %v", less.Value, tt.budget)
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("got %q, want one problem with %q", got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "config.yaml", "schema.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "server.redis", "[a, b]")
	}
	f.Add([]byte("a: &a [*a]"), "store.readers", "1e9")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, key, value string) {
		file := filepath.Join(dir, fmt.Sprint(os.Getpid(), ".yaml"))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := config.Load(config.Source{File: file, Set: []config.Setting{{Key: key, Value: value}}})
		if err != nil {
			var all config.Problems
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("the error is %T: %v", err, err)
			}
			return
		}
		var set []config.Setting
		for _, v := range loaded.Values() {
			set = append(set, config.Setting{Key: v.Key, Value: v.String()})
		}
		if diff := cmp.Diff(loaded.Config, mustLoad(t, config.Source{Set: set}).Config); diff != "" {
			t.Errorf("the values, set again, make another configuration (-first +second):\n%s", diff)
		}
	})
}
