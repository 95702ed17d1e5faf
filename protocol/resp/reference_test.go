package resp_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/stated/stated/protocol/auth"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

var update = flag.Bool("update", false, "write the reference page anew")

const referencePage = "COMMANDS.md"

// The reference page is made from the table of commands.
func TestReference(t *testing.T) {
	page := reference()
	if *update {
		if err := os.WriteFile(referencePage, []byte(page), 0o644); err != nil { //nolint:gosec // it is a page to read
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), page); diff != "" {
		t.Errorf("%s is old, run: go test ./protocol/resp -run TestReference -update (-committed +made)\n%s", referencePage, diff)
	}
}

var families = []struct{ name, title string }{
	{"connection", "Connections"},
	{"server", "The daemon, and all agents"},
	{"string", "States as strings, with Redis's replies"},
	{"generic", "Agents, with Redis's replies"},
	{"transactions", "Transactions"},
	{"stated", "stated's own"},
}

func reference() string {
	var b strings.Builder
	b.WriteString(`# Commands

The commands that stated understands on its Redis port, with RESP2 or RESP3. This page is made from the table of commands in
the source: ` + "`go test ./protocol/resp -run TestReference -update`" + `.

Words in capitals are written as they are, the others stand for a value; [x] may be left out, x | y is a choice, ... repeats.
Each role may do what the ones before it may: read, write, admin. Without tokens in the configuration everybody may do everything.
In MULTI a command is queued, performed at once, or refused; after a refusal EXEC answers EXECABORT.

Every command may answer ERR (wrong arguments) and, where tokens are configured, NOAUTH before authentication. Where more can
happen, it is listed. An error's first word is its code, then come facts as key=value, then the message:

    -CONFLICT current_revision=17 index=2 agent "a" has revision 17, the condition was: revision 16
`)
	all := resp.Commands()
	for _, family := range families {
		b.WriteString("\n## " + family.title + "\n")
		for _, c := range all {
			parent, _, _ := strings.Cut(c.Name, "|")
			if at := slices.IndexFunc(all, func(p resp.Command) bool { return p.Name == parent }); all[at].Family == family.name {
				b.WriteString(entry(c))
			}
		}
	}
	return b.String()
}

func entry(c resp.Command) string {
	title := strings.ToUpper(strings.ReplaceAll(c.Name, "|", " "))
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", title)
	if c.Reply != "" {
		fmt.Fprintf(&b, "    %s\n\n", strings.TrimSpace(title+" "+c.Args))
	}
	b.WriteString(c.Summary + "\n")
	if c.Reply == "" { // it has subcommands only
		return b.String()
	}
	fmt.Fprintf(&b, "\n- reply: %s\n- role: %s\n- in MULTI: %s\n- time: %s\n", c.Reply, roleName(c), inMulti(c), c.Cost)
	if codes := errorCodes(c); codes != "" {
		b.WriteString("- errors: " + codes + "\n")
	}
	return b.String()
}

func roleName(c resp.Command) string {
	if c.Role == auth.RoleNone {
		return "none, it works before authentication"
	}
	return c.Role.String()
}

func inMulti(c resp.Command) string {
	switch {
	case c.Multi:
		return "queued"
	case c.Control && c.Name != "multi" && c.Name != "watch":
		return "performed at once"
	default:
		return "refused"
	}
}

func errorCodes(c resp.Command) string {
	var codes []string
	if c.Role > auth.RoleRead {
		codes = append(codes, "NOPERM")
	}
	if c.Error != "" {
		codes = append(codes, c.Error)
	}
	if c.Reads || c.Writes {
		codes = append(codes, "INVALID", "OVERLOADED", "LOCKED", "CANCELED", "UNAVAILABLE", "IO", "CORRUPT", "INTERNAL")
	}
	if c.Writes {
		codes = append(codes, "UNKNOWN", "FULL", "READONLY")
	}
	return strings.Join(codes, ", ")
}

// Every entry says all there is to say.
func TestReference_complete(t *testing.T) {
	known := map[string]bool{}
	for _, f := range families {
		known[f.name] = true
	}
	for _, c := range resp.Commands() {
		container := c.Name == "client" || c.Name == "config"
		arity := arityOf(c)
		switch {
		case !known[c.Family]:
			t.Errorf("%s belongs to no part of the page: %q", c.Name, c.Family)
		case !strings.HasSuffix(c.Summary, "."):
			t.Errorf("%s has the summary %q", c.Name, c.Summary)
		case (c.Reply == "") != container:
			t.Errorf("%s has the reply %q", c.Name, c.Reply)
		case c.Arity != arity && !container && c.Name != "quit": // Redis takes QUIT with any words
			t.Errorf("%s has arity %d, which does not fit to %q: that would be %d", c.Name, c.Arity, c.Args, arity)
		}
	}
}

var (
	choice   = regexp.MustCompile(`<([^|>]*)[^>]*>`)
	optional = regexp.MustCompile(`\[[^\[\]]*\]`)
)

// arityOf counts the words that the syntax asks for.
func arityOf(c resp.Command) int {
	args := choice.ReplaceAllString(c.Args, "$1")
	open := strings.Contains(args, "[") || c.Name == "command"
	for strings.Contains(args, "[") {
		args = optional.ReplaceAllString(args, "")
	}
	n := len(strings.Split(c.Name, "|")) + len(strings.Fields(args))
	if open {
		return -n
	}
	return n
}

// What COMMAND DOCS says of arguments, put together as redis-cli does it, is the syntax that the table has.
func TestReference_docs(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	for _, proto := range []int{2, 3} {
		c := redis.NewClient(&redis.Options{Addr: addr, Protocol: proto, MaxRetries: -1})
		t.Cleanup(func() { _ = c.Close() })
		for _, command := range resp.Commands() {
			reply, err := c.Do(t.Context(), "COMMAND", "DOCS", command.Name).Result()
			if err != nil {
				t.Fatal(err)
			}
			docs := asMap(asMap(reply)[command.Name])
			if docs["summary"] != command.Summary || docs["since"] != "1.0.0" || docs["group"] != command.Family && !strings.Contains(command.Name, "|") ||
				docs["complexity"] != command.Cost {
				t.Errorf("%s: %v", command.Name, docs)
			}
			if got := syntaxOf(docs["arguments"]); got != command.Args {
				t.Errorf("%s: got %q, want %q", command.Name, got, command.Args)
			}
			if subs := asMap(docs["subcommands"]); (len(subs) > 0) != slices.Contains([]string{"client", "config", "command"}, command.Name) {
				t.Errorf("%s has %d subcommands", command.Name, len(subs))
			}
		}
	}
}

// asMap gives a map of RESP3, or the pairs of RESP2, as a map.
func asMap(v any) map[string]any {
	m := map[string]any{}
	switch v := v.(type) {
	case map[any]any:
		for key, value := range v {
			m[key.(string)] = value
		}
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			m[v[i].(string)] = v[i+1]
		}
	}
	return m
}

func syntaxOf(arguments any) string {
	list, _ := arguments.([]any)
	words := make([]string, 0, len(list))
	for _, a := range list {
		words = append(words, oneSyntax(asMap(a)))
	}
	return strings.Join(words, " ")
}

func oneSyntax(a map[string]any) string {
	flags, _ := a["flags"].([]any)
	optional, multiple := slices.Contains(flags, any("optional")), slices.Contains(flags, any("multiple"))
	var text string
	switch parts, _ := a["arguments"].([]any); a["type"] {
	case "pure-token":
	case "block":
		text = syntaxOf(parts)
	case "oneof":
		var choices []string
		for _, p := range parts {
			choices = append(choices, oneSyntax(asMap(p)))
		}
		text = strings.Join(choices, " | ")
		if !optional {
			text = "<" + text + ">"
		}
	default:
		text, _ = a["name"].(string)
	}
	if multiple && !optional {
		text += " [" + text + " ...]"
	}
	if token, ok := a["token"].(string); ok {
		text = strings.TrimSpace(token + " " + text)
	}
	if multiple && optional {
		text += " ..."
	}
	if optional {
		text = "[" + text + "]"
	}
	return text
}
