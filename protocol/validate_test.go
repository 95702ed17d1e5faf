package protocol_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stated/stated/protocol"
)

// mustInvalid gives the message of an error that has to be INVALID.
func mustInvalid(tb testing.TB, err error) *protocol.Error {
	tb.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.CodeInvalid {
		tb.Fatalf("the error is %v, want INVALID", err)
	}
	return e
}

func TestValidateID(t *testing.T) {
	for _, tt := range []struct{ name, id, want string }{
		{"one byte", "a", ""},
		{"a space", " ", ""},
		{"512 bytes", strings.Repeat("a", 512), ""},
		{"512 bytes of two-byte letters", strings.Repeat("é", 256), ""},
		{"letters of two, three and four bytes", "é€😀", ""},
		{"the replacement character", "a\uFFFDb", ""},
		{"slashes, quotes and wildcards", `../a/"b'%_*`, ""},
		{"the first characters that are allowed", "\x20\x21\x7e\u0080", ""},

		{"empty", "", "the agent id is empty"},
		{"513 bytes", strings.Repeat("a", 513), "the agent id has 513 bytes, at most 512 are allowed"},
		{"512 letters of 513 bytes", strings.Repeat("a", 511) + "é", "has 513 bytes"},
		{"zero byte", "a\x00b", "has the control character 0x00 at byte 1"},
		{"newline", "a\n", "has the control character 0x0a at byte 1"},
		{"last control character", "\x1f", "has the control character 0x1f at byte 0"},
		{"delete", "é\x7f", "has the control character 0x7f at byte 2"},
		{"a lone byte", "ab\xff", "is not valid UTF-8 at byte 2"},
		{"a letter cut short", "aé€"[:5], "is not valid UTF-8 at byte 3"},
		{"a surrogate", "a\xed\xa0\x80", "is not valid UTF-8 at byte 1"},
		{"an overlong slash", "\xc0\xaf", "is not valid UTF-8 at byte 0"},
		{"beyond the replacement character", "\uFFFD\xff", "is not valid UTF-8 at byte 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := protocol.ValidateID(tt.id)
			if tt.want == "" {
				if err != nil {
					t.Errorf("ValidateID(%q) = %v", tt.id, err)
				}
				return
			}
			if e := mustInvalid(t, err); !strings.Contains(e.Message, tt.want) {
				t.Errorf("ValidateID(%q) says %q, want %q", tt.id, e.Message, tt.want)
			}
		})
	}
}

func nested(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

func TestValidateState_Accepts(t *testing.T) {
	for name, state := range map[string]string{
		"null":                      `null`,
		"number":                    `-0.5E+3`,
		"string":                    `""`,
		"whitespace around":         " \t\r\n{ \"a\" : [ ] }\n",
		"a number beyond float64":   `1e400`,
		"many digits":               strings.Repeat("9", 400),
		"duplicate keys":            `{"a":1,"a":2}`,
		"every escape":              `"\"\\\/\b\f\n\r\t\u0000"`,
		"half a surrogate, escaped": `"\ud800"`,
		"a delete character":        "\"\x7f\"",
		"letters beyond ASCII":      `{"é":"€😀"}`,
		"1000 arrays":               nested(1000),
		"1000 objects":              strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000),
		"2000 arrays side by side":  "[" + strings.Repeat("[],", 1999) + "[]]",
		"brackets inside a string":  `["` + strings.Repeat("[{", 2000) + `"]`,
		"brackets behind an escape": `"` + strings.Repeat(`\"[`, 2000) + `"`,
		"brackets behind two":       `["\\",` + nested(999) + `,"` + strings.Repeat("[", 2000) + `"]`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := protocol.ValidateState([]byte(state)); err != nil {
				t.Errorf("ValidateState(%.50q) = %v", state, err)
			}
		})
	}
}

func TestValidateState_Refuses(t *testing.T) {
	for _, tt := range []struct {
		name, state string
		offset      int
		want        string
	}{
		{"empty", "", 0, "it is empty"},
		{"only whitespace", " \n", 2, "unexpected end"},
		{"an object cut short", `{"a":1`, 6, "unexpected end"},
		{"a string cut short", `"`, 1, "unexpected end"},
		{"a literal cut short", `nul`, 3, "unexpected end"},
		{"a sign alone", `-`, 1, "unexpected end"},
		{"a fraction cut short", `[1.`, 3, "unexpected end"},
		{"11,000 levels", strings.Repeat("[", 11_000), 1000, "more than 1000 levels deep"},
		{"a comma too many in a list", `[1,]`, 3, "invalid character ']'"},
		{"a comma too many in an object", `{"a":1,}`, 7, "invalid character '}'"},
		{"a comma missing", `[1 2]`, 3, "after array element"},
		{"a colon missing", `{"a" 1}`, 5, "after object key"},
		{"a key without quotes", `{a:1}`, 1, "invalid character 'a'"},
		{"single quotes", `'a'`, 0, "invalid character"},
		{"in the third line", "[1,\n 2,\n x]", 9, "invalid character 'x'"},
		{"a word behind", `{} x`, 3, "after top-level value"},
		{"a bracket behind", `{"a":1}}`, 7, "after top-level value"},
		{"two values", `{}{}`, 2, "after top-level value"},
		{"a zero byte behind", "{}\x00", 2, "after top-level value"},
		{"a zero byte alone", "\x00", 0, "invalid character"},
		{"a zero byte in a string", "\"a\x00\"", 2, "in string literal"},
		{"a newline in a string", "\"a\n\"", 2, "in string literal"},
		{"an unknown escape", `"\x"`, 2, "in string escape code"},
		{"half an escape", `"\u12g4"`, 5, "hexadecimal"},
		{"a byte order mark", "\xef\xbb\xbf{}", 0, "invalid character"},
		{"NaN", `[NaN]`, 1, "invalid character 'N'"},
		{"Infinity", `[-Infinity]`, 2, "invalid character 'I'"},
		{"a plus", `+1`, 0, "invalid character '+'"},
		{"a leading zero", `01`, 1, "after top-level value"},
		{"a comment", "// c\n1", 0, "invalid character '/'"},
		{"invalid UTF-8 in a string", "\"a\xffb\"", 2, "invalid UTF-8"},
		{"invalid UTF-8 in a key", "{\"\xc3\":1}", 2, "invalid UTF-8"},
		{"a surrogate", "\"\xed\xa0\x80\"", 1, "invalid UTF-8"},
		{"invalid UTF-8 outside a string", "{\"a\":\xff}", 5, "invalid character"},
		{"1001 arrays", nested(1001), 1000, "more than 1000 levels deep"},
		{"1001 levels of both", strings.Repeat(`[{"a":`, 500) + "[1]" + strings.Repeat("}]", 500), 3000, "more than 1000"},
		{"1001 levels behind a string", `["\"[",` + nested(1000) + `]`, 1006, "more than 1000 levels deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := mustInvalid(t, protocol.ValidateState([]byte(tt.state)))
			offset, _ := e.Fact(protocol.FactOffset)
			if offset != strconv.Itoa(tt.offset) || !strings.Contains(e.Message, tt.want) {
				t.Errorf("ValidateState(%.50q) = %v, want offset %d and %q", tt.state, e, tt.offset, tt.want)
			}
			if begin := "state is not JSON at byte " + strconv.Itoa(tt.offset) + ": "; !strings.HasPrefix(e.Message, begin) {
				t.Errorf("the message %q does not begin with %q", e.Message, begin)
			}
		})
	}
}

// depth counts levels by means of another parser than the one under test.
func depth(tb testing.TB, state []byte) int {
	tb.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(state)))
	decoder.UseNumber()
	level, deepest := 0, 0
	for decoder.More() || level > 0 {
		token, err := decoder.Token()
		if err != nil {
			tb.Fatalf("Token: %v", err)
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			level++
			deepest = max(deepest, level)
		case json.Delim(']'), json.Delim('}'):
			level--
		}
	}
	return deepest
}

func FuzzValidateState(f *testing.F) {
	for _, seed := range []string{
		"", " ", "nul", "1.", `{"a":[1,2,{"b":"\""}]}`, "\"\xff\"", "\xef\xbb\xbf1", nested(1000), nested(1001), nested(10_001),
		`["` + strings.Repeat("[", 1001) + `"]`, "[]]", "1e400", strings.Repeat(`{"a":`, 1001), `"\`, `"\u`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		before := string(state)
		err := protocol.ValidateState(state)
		if string(state) != before {
			t.Fatal("the state was changed")
		}
		good := json.Valid(state) && utf8.Valid(state) && depth(t, state) <= protocol.MaxDepth
		if good != (err == nil) {
			t.Fatalf("ValidateState(%q) = %v", state, err)
		}
		if err == nil {
			return
		}
		text, _ := mustInvalid(t, err).Fact(protocol.FactOffset)
		if offset, err := strconv.Atoi(text); err != nil || offset < 0 || offset > len(state) {
			t.Fatalf("ValidateState(%q): the offset is %q", state, text)
		}
	})
}

func FuzzValidateID(f *testing.F) {
	for _, seed := range []string{
		"", "a", "\x00", "\x1f", "\x7f", "é", "\xff", "\xed\xa0\x80", strings.Repeat("a", 512), strings.Repeat("a", 513),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		control := func(r rune) bool { return r < 0x20 || r == 0x7f }
		good := id != "" && len(id) <= 512 && utf8.ValidString(id) && !strings.ContainsFunc(id, control)
		err := protocol.ValidateID(id)
		if good != (err == nil) {
			t.Fatalf("ValidateID(%q) = %v", id, err)
		}
		if err != nil {
			mustInvalid(t, err)
		}
	})
}
