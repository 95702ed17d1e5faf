package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

// document is the OpenAPI document, as JSON sees it.
func document(tb testing.TB) map[string]any {
	tb.Helper()
	var raw any
	if err := yaml.Unmarshal(httpapi.OpenAPI(), &raw); err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(raw)
	if err != nil {
		tb.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	return doc.(map[string]any)
}

func compiler(tb testing.TB) *jsonschema.Compiler {
	tb.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", document(tb)); err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestOpenAPI_HasTheRoutes(t *testing.T) {
	var want, got []string
	for _, r := range httpapi.Routes() {
		want = append(want, r.Method+" "+r.Path)
		if r.Method == "GET" {
			want = append(want, "HEAD "+r.Path)
		}
	}
	for path, item := range document(t)["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				got = append(got, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes and the paths of openapi.yaml (-want +got):\n%s", diff)
	}
}

// TestOpenAPI_Valid holds the document against the schema of the OpenAPI Initiative,
// https://spec.openapis.org/oas/3.1/schema/2022-10-07.
func TestOpenAPI_Valid(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document(t)); err != nil {
		t.Errorf("%#v", err)
	}
}

// TestOpenAPI_FitsRoutes: the parameters are those of the routes, and so are the roles, where tokens are needed at all.
func TestOpenAPI_FitsRoutes(t *testing.T) {
	doc := document(t)
	for _, r := range httpapi.Routes() {
		item := doc["paths"].(map[string]any)[r.Path].(map[string]any)
		operation := item[strings.ToLower(r.Method)].(map[string]any)
		query, path := parameters(doc, item, "query"), parameters(doc, item, "path")
		query = append(query, parameters(doc, operation, "query")...)
		if diff := cmp.Diff(r.Params, query); diff != "" {
			t.Errorf("%s %s: parameters of the query (-route +document)\n%s", r.Method, r.Path, diff)
		}
		if strings.Contains(r.Path, "{id}") != slices.Equal(path, []string{"id"}) {
			t.Errorf("%s %s: parameters of the path are %v", r.Method, r.Path, path)
		}
		said, want := strings.Join(strings.Fields(operation["description"].(string)), " "), "Needs the role "+r.Role.String()
		if r.Open {
			want = "Needs no token"
		}
		if r.Path == "/v1/transactions" {
			want = "Needs the role write, or read if"
		}
		if security, open := operation["security"]; !strings.Contains(said, want) || open != r.Open {
			t.Errorf("%s %s: security %v, %q; want %q", r.Method, r.Path, security, said, want)
		}
	}
}

// parameters gives the names of those that an item or an operation has in one place.
func parameters(doc, of map[string]any, in string) (names []string) {
	list, _ := of["parameters"].([]any)
	for _, v := range list {
		p := v.(map[string]any)
		if ref, ok := p["$ref"].(string); ok {
			all := doc["components"].(map[string]any)["parameters"].(map[string]any)
			p = all[strings.TrimPrefix(ref, "#/components/parameters/")].(map[string]any)
		}
		if p["in"] == in {
			names = append(names, p["name"].(string))
		}
	}
	return names
}

// TestOpenAPI_Resolves: each reference leads somewhere, each schema is one, each operation has an id of its own and
// answers errors.
func TestOpenAPI_Resolves(t *testing.T) {
	doc, c := document(t), compiler(t)
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi: %v", doc["openapi"])
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for i := range v {
				walk(fmt.Sprintf("%s/%d", at, i), v[i])
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && !resolves(doc, ref) {
				t.Errorf("%s: %s leads nowhere", at, ref)
			}
			for key, value := range v {
				where := at + "/" + strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
				if key == "schema" || at == "#/components/schemas" {
					if _, err := c.Compile("openapi.json" + where); err != nil {
						t.Errorf("%s: %v", where, err)
					}
				}
				walk(where, value)
			}
		}
	}
	walk("#", doc)
	ids := map[any]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, v := range item.(map[string]any) {
			operation, ok := v.(map[string]any)
			if !ok {
				continue
			}
			if id := operation["operationId"]; id == nil || ids[id] {
				t.Errorf("%s %s: operationId %v is missing, or there twice", method, path, id)
			} else {
				ids[id] = true
			}
			if operation["responses"].(map[string]any)["default"] == nil {
				t.Errorf("%s %s: no default response", method, path)
			}
		}
	}
}

func resolves(doc any, ref string) bool {
	for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		m, ok := doc.(map[string]any)
		if doc = m[part]; !ok || doc == nil {
			return false
		}
	}
	return true
}

func TestOpenAPI_HasTheCodes(t *testing.T) {
	schema := document(t)["components"].(map[string]any)["schemas"].(map[string]any)["problem"].(map[string]any)
	code := schema["properties"].(map[string]any)["code"].(map[string]any)
	var want []any
	for _, c := range protocol.Codes() {
		want = append(want, string(c))
	}
	if diff := cmp.Diff(want, code["enum"]); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// TestOpenAPI_FitsReplies holds what the server answers against the schemas.
func TestOpenAPI_FitsReplies(t *testing.T) {
	c := compiler(t)
	m := protocoltest.New()
	s := serve(t, m, httpapi.Options{})
	for _, tc := range []struct{ method, path, body, schema string }{
		{"PUT", "/v1/agents/a", "1", "change"},
		{"PUT", "/v1/agents/a", "1", "change"},
		{"PUT", "/v1/agents/a", "x", "problem"},
		{"GET", "/v1/agents", "", "page"},
		{"GET", "/v1/agents?limit=1&prefix=b", "", "page"},
		{"GET", "/v1/count", "", "counted"},
		{"GET", "/v1/info", "", "info"},
		{"POST", "/v1/transactions", `{"ops":[{"op":"save","agent_id":"b","state":[]},{"op":"load","agent_id":"b"},{"op":"load","agent_id":"c"},` +
			`{"op":"stat","agent_id":"b"},{"op":"check","agent_id":"b","if":"exists"},{"op":"delete","agent_id":"b"},{"op":"delete","agent_id":"c"}]}`, "results"},
		{"POST", "/v1/transactions", `{"ops":[{"op":"check","agent_id":"b","if":"exists"}]}`, "problem"},
		{"DELETE", "/v1/agents/a", "", "change"},
		{"DELETE", "/v1/agents/a", "", "problem"},
		{"DELETE", "/v1/agents?confirm=all", "", "cleared"},
		{"PATCH", "/v1/agents", "", "problem"},
		{"GET", "/nothing", "", "problem"},
	} {
		if strings.HasPrefix(tc.body, `{"ops"`) {
			fits(t, c, "transaction", tc.body)
		}
		a := s.ask(tc.method, tc.path, tc.body)
		fits(t, c, tc.schema, a.body)
	}
	for _, code := range protocol.Codes() {
		e := protocol.Errorf(code, "x").With(protocol.FactElapsed, "1s").With(protocol.FactIndex, "0").With(protocol.FactCurrentRevision, "0")
		fits(t, c, "problem", serve(t, failing(e), httpapi.Options{}).ask("GET", "/v1/agents/a", "").body)
	}
	s.want(s.ask("GET", "/openapi.yaml", ""), 200, "openapi: 3.1.0")
}

func fits(t *testing.T, c *jsonschema.Compiler, schema, body string) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err == nil {
		err = c.MustCompile("openapi.json#/components/schemas/" + schema).Validate(v)
	}
	if err != nil {
		t.Errorf("%s does not fit %s: %v", body, schema, err)
	}
}
