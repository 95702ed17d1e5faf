package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/stated/stated/config"
)

// mustReadCase reads a file of testdata. Its comments say what is expected of it: "want:" a problem, "schema:" how
// the schema sees it.
func mustReadCase(tb testing.TB, path string) (data []byte, want []string, schema string) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if problem, ok := strings.CutPrefix(line, "# want: "); ok {
			want = append(want, strings.Replace(problem, "FILE", "file "+path, 1))
		}
		if text, ok := strings.CutPrefix(line, "# schema: "); ok {
			schema = text
		}
	}
	return data, want, schema
}

func mustGlob(tb testing.TB, pattern string) []string {
	tb.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		tb.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	return paths
}

func TestLoad_BadFiles(t *testing.T) {
	for _, path := range mustGlob(t, "testdata/bad_*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, want, _ := mustReadCase(t, path)
			if diff := cmp.Diff(want, problems(t, config.Source{File: path})); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoad_GoodFiles(t *testing.T) {
	want := map[string]func(*config.Config){
		"good_all.yaml":        func(c *config.Config) { *c = allKeys() },
		"good_redis_text.yaml": func(c *config.Config) { c.Server.Redis = []string{"127.0.0.1:7828", "[::1]:7828"} },
		"good_redis_off.yaml":  func(c *config.Config) { c.Server.Redis = []string{} },
		"good_tokens.yaml":     func(c *config.Config) { *c = withTokens(*c) },
		"good_alias.yaml":      func(c *config.Config) { c.Timeouts.Request, c.Timeouts.Shutdown = 60e9, 60e9 },
	}
	for _, path := range mustGlob(t, "testdata/good_*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			wanted := defaults()
			if change := want[filepath.Base(path)]; change != nil {
				change(&wanted)
			}
			if diff := cmp.Diff(wanted, mustLoad(t, config.Source{File: path}).Config); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func allKeys() config.Config {
	return config.Config{
		Store: config.Store{Path: "/var/lib/stated/stated.db", Durability: "off", Readers: 4, CacheBytes: 128 << 20, WALBytes: 32 << 20, WALWrites: "plain", Commits: "plain"},
		Actor: config.Actor{Mailbox: 1000, MailboxBytes: 100_000_000, Batch: 16, BatchBytes: 1_000_000},
		Limits: config.Limits{
			StateBytes: 1_000_000, RequestBytes: 64 << 20, InflightBytes: 1_000_000_000, OutputBytes: 1 << 30,
			Connections: 10,
		},
		Timeouts: config.Timeouts{
			StateStoreLock: 1500e6, StateStoreRetryMax: 0, StateStoreRetryBase: 20e6, StateStoreRetryMaxDelay: 2e9,
			StateStoreRetryJitter: 1, Request: 90e9, Shutdown: 5e9,
		},
		Server: config.Server{
			Redis:     []string{"localhost:0", "127.0.0.1:0", "[::1]:7828", "unix:/run/stated.sock", "unix:stated.sock"},
			HTTP:      []string{"127.0.0.1:0", "unix:/run/stated.http"},
			HTTPHosts: []string{"agents.example.org", "::1"},
			TLS:       config.TLS{Cert: "/etc/stated/cert.pem", Key: "/etc/stated/key.pem"},
		},
		Auth: config.Auth{Tokens: []config.Token{{Name: "ops", File: "/etc/stated/ops.token", Role: "admin"}}},
		Log:  config.Log{Level: "trace", Format: "console", SlowRequest: 250 * time.Millisecond},
	}
}

// withTokens listens to the world.
func withTokens(c config.Config) config.Config {
	c.Server.Redis = []string{"0.0.0.0:7828"}
	c.Server.HTTP = []string{"agents.example.org:7829"}
	c.Auth.Tokens = []config.Token{
		{Name: "worker-1", Secret: "0123456789abcdef", Role: "write"}, {Name: "grafana", File: "grafana.token", Role: "read"},
	}
	c.Log.SlowRequest = 0
	return c
}

// mustYAML reads YAML as the values that the schema is asked about.
func mustYAML(tb testing.TB, data []byte) any {
	tb.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

func mustSchema(tb testing.TB) (doc map[string]any, schema *jsonschema.Schema) {
	tb.Helper()
	data, err := os.ReadFile("schema.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	doc = mustYAML(tb, data).(map[string]any)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.yaml", doc); err != nil {
		tb.Fatal(err)
	}
	return doc, compiler.MustCompile("schema.yaml")
}

func TestSchema_HasTheKeys(t *testing.T) {
	doc, _ := mustSchema(t)
	var keys []string
	var walk func(prefix string, group map[string]any)
	walk = func(prefix string, group map[string]any) {
		for name, v := range group["properties"].(map[string]any) {
			key, property := prefix+name, v.(map[string]any)
			if text, _ := property["description"].(string); text == "" {
				t.Errorf("%s has no description in the schema", key)
			}
			if property["properties"] != nil {
				walk(key+".", property)
			} else {
				keys = append(keys, key)
			}
		}
	}
	walk("", doc)
	if diff := cmp.Diff(slices.Sorted(slices.Values(config.Keys())), slices.Sorted(slices.Values(keys))); diff != "" {
		t.Errorf("Keys() and those of schema.yaml (-want +got):\n%s", diff)
	}
}

func TestSchema_AgreesWithLoad(t *testing.T) {
	_, schema := mustSchema(t)
	if !bytes.HasPrefix(config.DefaultYAML(), []byte("# yaml-language-server: $schema=./schema.yaml\n")) {
		t.Error("config.yaml does not name its schema in the first line")
	}
	for _, path := range append(mustGlob(t, "testdata/*.yaml"), "config.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, want, note := mustReadCase(t, path)
			if note == "cannot be asked" {
				return // a schema knows nothing of what is not one YAML document
			}
			doc := mustYAML(t, data)
			err := schema.Validate(doc)
			if accepts := len(want) == 0 || note == "accepts"; accepts != (err == nil) {
				t.Errorf("the schema says %v, Load %q", err, want)
			}
			if note == "every key" {
				eachKeyAlone(t, schema, doc)
			}
		})
	}
}

// eachKeyAlone asks the schema about every key of a document by itself, since one bad key would hide the others.
func eachKeyAlone(t *testing.T, schema *jsonschema.Schema, doc any) {
	t.Helper()
	for group, keys := range doc.(map[string]any) {
		for key, value := range keys.(map[string]any) {
			alone := map[string]any{group: map[string]any{key: value}}
			if err := schema.Validate(alone); err == nil {
				t.Errorf("the schema accepts %v", alone)
			}
		}
	}
}
