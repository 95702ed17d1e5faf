package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
)

var testTable = newTable()

// counter is memory without a limit.
type counter struct{ now, peak int }

func (c *counter) reserve(n int) error {
	c.now += n
	c.peak = max(c.peak, c.now)
	return nil
}

func newTestDecoder(r io.Reader, c *counter) *decoder {
	return &decoder{
		r:       bufio.NewReaderSize(r, readBuffer),
		limits:  limits{args: maxArgs, manyArgs: maxManyArgs, bytes: 1 << 20, line: maxLineBytes},
		many:    testTable.takesMany,
		reserve: c.reserve,
	}
}

// decodeAll gives the commands, and the error that ended them.
func decodeAll(d *decoder) (all [][]string, err error) {
	for {
		c, err := d.next()
		if err != nil {
			return all, err
		}
		var words []string
		for _, a := range c.args {
			words = append(words, string(a))
		}
		all = append(all, words)
	}
}

func TestDecoder(t *testing.T) {
	for input, want := range map[string][][]string{
		"":                                     nil,
		"*1\r\n$4\r\nPING\r\n":                 {{"PING"}},
		"*2\r\n$3\r\nGET\r\n$0\r\n\r\n":        {{"GET", ""}},
		"*0\r\n*-1\r\n\r\n  \r\nPING\r\n":      {{"PING"}},
		"*1\r\n$4\r\nPING\r\nGET a\n*0\r\n":    {{"PING"}, {"GET", "a"}},
		"*1\r\n$4\r\na\r\nb\r\n":               {{"a\r\nb"}},
		"SET a \"x \\\"y\\\" \\x41\\n\"\r\n":   {{"SET", "a", "x \"y\" A\n"}},
		`SET a 'it\'s \n'` + "\n":              {{"SET", "a", `it's \n`}},
		`a "" ''` + "\n":                       {{"a", "", ""}},
		"\t a\tb \r\n":                         {{"a", "b"}},
		"GET unfinished":                       nil,
		"*2\r\n$3\r\nGET\r\n":                  nil,
		"PING\r\n*1\r\n$4\r\nPI":               {{"PING"}},
		strings.Repeat("x", 60<<10) + " y\r\n": {{strings.Repeat("x", 60<<10), "y"}},
	} {
		t.Run(fmt.Sprintf("%.40q", input), func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole": strings.NewReader(input), "bytes": iotest.OneByteReader(strings.NewReader(input)),
			} {
				got, err := decodeAll(newTestDecoder(r, &counter{}))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", name, diff)
				}
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestDecoder_refused(t *testing.T) {
	for input, want := range map[string]string{
		"*x\r\n":                            "invalid multibulk length",
		"*1\n":                              "invalid multibulk length",
		"*+1\r\n":                           "invalid multibulk length",
		"*99999999999999999999\r\n":         "invalid multibulk length",
		"*65538\r\n":                        "invalid multibulk length",
		"*1\r\n:4\r\n":                      "expected '$', got ':'",
		"*1\r\n$x\r\n":                      "invalid bulk length",
		"*1\r\n$-1\r\n":                     "invalid bulk length -1",
		"*1\r\n$10000000000\r\n":            "invalid bulk length 10000000000",
		"*1\r\n$4\r\nPINGxx":                "a bulk string does not end",
		"*1026\r\n$3\r\nGET\r\n":            "too many arguments: at most 1024",
		"*" + strings.Repeat("1", 20<<10):   "too big multibulk count string",
		"SET a \"x\r\n":                     "unbalanced quotes",
		"SET a \"x\"y\r\n":                  "unbalanced quotes",
		strings.Repeat("x", 65<<10) + "\n":  "too big inline request",
		strings.Repeat("x ", 1100) + "\r\n": "too many arguments: at most 1024",
	} {
		t.Run(fmt.Sprintf("%.40q", input), func(t *testing.T) {
			_, err := decodeAll(newTestDecoder(strings.NewReader(input), &counter{}))
			var wrong protocolError
			if !errors.As(err, &wrong) || !strings.Contains(string(wrong), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	for _, input := range []string{"POST / HTTP/1.1\r\n", "post x\r\n", "Host: localhost\r\n"} {
		if _, err := decodeAll(newTestDecoder(strings.NewReader(input), &counter{})); !errors.Is(err, errBrowser) {
			t.Errorf("%q: got %v", input, err)
		}
	}
}

// What the operations and replies will take is reserved with the arguments that they are made of.
func TestDecoder_reservesOperations(t *testing.T) {
	ids := strings.Repeat("$1\r\na\r\n", 1000)
	for input, least := range map[string]int{
		"*1001\r\n$4\r\nMGET\r\n" + ids: 400_000, "mget" + strings.Repeat(" a", 1000) + "\r\n": 400_000,
		"*1001\r\n$5\r\nWATCH\r\n" + ids: 32_000,
	} {
		var c counter
		cmd, err := newTestDecoder(strings.NewReader(input), &c).next()
		if err != nil {
			t.Fatal(err)
		}
		if cmd.size < least || cmd.size > least+10_000 || c.now != cmd.size {
			t.Errorf("%.10q: %d bytes are reserved, %d belong to the command, want %d and some", input, c.now, cmd.size, least)
		}
	}
}

func TestDecoder_manyArguments(t *testing.T) {
	ids := strings.Repeat("$1\r\nx\r\n", maxManyArgs)
	d := newTestDecoder(strings.NewReader(fmt.Sprintf("*%d\r\n$4\r\nmget\r\n%s", maxManyArgs+1, ids)), &counter{})
	d.limits.bytes = 8 << 20
	got, _ := decodeAll(d)
	if len(got) != 1 || len(got[0]) != maxManyArgs+1 {
		t.Fatalf("got %d commands", len(got))
	}
}

// Memory must follow what came, not what was announced.
func TestDecoder_memory(t *testing.T) {
	const announced = 1 << 19
	for _, came := range []int{0, 100, 40 << 10, 200 << 10} {
		c := &counter{}
		input := fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n%s", announced, strings.Repeat("x", came))
		if _, err := decodeAll(newTestDecoder(strings.NewReader(input), c)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if most := 2*came + 2*growStep; c.peak > most {
			t.Errorf("%d bytes came: %d were reserved, at most %d should be", came, c.peak, most)
		}
	}
	c := &counter{}
	if _, err := decodeAll(newTestDecoder(strings.NewReader("*65537\r\n$4\r\nMGET\r\n"), c)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if c.peak > growStep {
		t.Errorf("%d bytes were reserved for arguments that did not come", c.peak)
	}
}

func TestDecoder_noMemory(t *testing.T) {
	full := protocol.Errorf(protocol.CodeOverloaded, "full")
	for _, input := range []string{"PING\r\n", "*1\r\n$4\r\nPING\r\n"} {
		d := newTestDecoder(strings.NewReader(input), &counter{})
		d.reserve = func(int) error { return full }
		if _, err := d.next(); !errors.Is(err, protocol.CodeOverloaded) {
			t.Errorf("%q: %v", input, err)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{
		"*1\r\n$4\r\nPING\r\n", "PING\r\n", "*0\r\n", "*-1\r\n", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n{}\r\n",
		"SET a \"x\\x41\"\r\n", "*1\r\n$10000000000\r\n", "*2\r\n$3\r\nGET\r\n", "'", "\"\\", "*1\r\n$-1\r\n", "POST /\r\n",
		"*11\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nAUTH\r\n$17000\r\n" + strings.Repeat("x", 17_000) + "\r\n", strings.Repeat("x ", 9_000) + "\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		c := &counter{}
		whole, err := decodeAll(newTestDecoder(bytes.NewReader(input), c))
		if c.peak > 40*len(input)+3*growStep {
			t.Errorf("%d bytes reserved for %d", c.peak, len(input))
		}
		parts, again := decodeAll(newTestDecoder(iotest.HalfReader(iotest.OneByteReader(bytes.NewReader(input))), &counter{}))
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Errorf("byte by byte it differs (-whole +parts)\n%s", diff)
		}
		if err.Error() != again.Error() {
			t.Errorf("whole %v, byte by byte %v", err, again)
		}
		fuzzStranger(t, input)
	})
}

// fuzzStranger decodes what a client sends that has yet to authenticate: no command takes much, whatever it is.
func fuzzStranger(t *testing.T, input []byte) {
	t.Helper()
	d := newTestDecoder(bytes.NewReader(input), &counter{})
	d.limits = limits{args: strangerArgs, manyArgs: strangerArgs, bytes: strangerBytes, line: strangerBytes, stranger: true}
	for {
		c, err := d.next()
		if d.used > 3*strangerBytes {
			t.Errorf("%d bytes reserved for a stranger", d.used)
		}
		if err != nil {
			return
		}
		if len(c.args) > strangerArgs+1 {
			t.Errorf("a stranger's command has %d words", len(c.args))
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("SET", "a", "{}")
	f.Add("", "\r\n", "\x00$1")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		d := newTestDecoder(bytes.NewReader(appendCommand(nil, a, b, c)), &counter{})
		got, err := decodeAll(d)
		if diff := cmp.Diff([][]string{{a, b, c}}, got); diff != "" || !errors.Is(err, io.EOF) {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$-1\r\n", "$2\r\nab\r\n", "*2\r\n:1\r\n*1\r\n_\r\n", "%1\r\n+a\r\n+b\r\n", "~0\r\n",
		"=5\r\ntxt:x\r\n", "#t\r\n", ",1.5\r\n", "(12\r\n", "!3\r\nERR\r\n", ">1\r\n:1\r\n", "*1000000\r\n", "$9999999999\r\n",
		strings.Repeat("*1\r\n", 100),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		whole, err := valueReader{bufio.NewReader(bytes.NewReader(input))}.next()
		parts, again := valueReader{bufio.NewReader(iotest.OneByteReader(bytes.NewReader(input)))}.next()
		if diff := cmp.Diff(whole, parts, cmp.AllowUnexported(value{})); diff != "" || (err == nil) != (again == nil) {
			t.Errorf("whole %v, byte by byte %v (-whole +parts)\n%s", err, again, diff)
		}
	})
}

// What output writes, valueReader reads.
func TestOutput_roundTrip(t *testing.T) {
	for _, proto := range []int{2, 3} {
		o := &output{proto: proto}
		o.array(7)
		o.int(-5)
		o.bulk([]byte("a\r\nb"))
		o.null()
		o.nullArray()
		o.failText("ERR two\r\nlines")
		o.verbatim("x")
		o.mapOf(1)
		o.simple("k")
		o.setOf(nil)
		v, err := valueReader{bufio.NewReader(bytes.NewReader(o.buf))}.next()
		if err != nil || len(v.elems) != 7 {
			t.Fatalf("RESP%d: %v %+v", proto, err, v)
		}
		e := v.elems
		if e[0].n != -5 || string(e[1].text) != "a\r\nb" || !e[2].isNull() || !e[3].isNull() || string(e[4].text) != "ERR two lines" ||
			!strings.HasSuffix(string(e[5].text), "x") || len(e[6].elems) != 2 {
			t.Errorf("RESP%d: %+v", proto, e)
		}
	}
}

func TestErrorLine(t *testing.T) {
	for line, code := range map[string]protocol.Code{
		`CONFLICT current_revision=17 index=2 agent "a" has changed`: protocol.CodeConflict,
		`LOCKED attempts=6 elapsed=4.2s another process`:             protocol.CodeLocked,
		`NOAUTH Authentication required.`:                            protocol.CodeUnauthenticated,
		`NOPERM not yours`:                                           protocol.CodeForbidden,
		`UNKNOWN who knows`:                                          protocol.CodeUnknown,
		`READONLY the file`:                                          protocol.CodeReadOnly,
	} {
		e := parseErrorLine(line)
		if e.Code != code {
			t.Errorf("%s: got %s", line, e.Code)
		}
		if got := errorLine(e); got != line {
			t.Errorf("got  %s\nwant %s", got, line)
		}
	}
	for line, code := range map[string]protocol.Code{
		"ERR max number of clients reached": protocol.CodeUnavailable, "ERR syntax error": protocol.CodeInvalid,
		"WRONGPASS no": protocol.CodeUnauthenticated, "LOADING wait": protocol.CodeInternal, "": protocol.CodeInternal,
	} {
		if got := parseErrorLine(line).Code; got != code {
			t.Errorf("%q: got %s, want %s", line, got, code)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "abc", true}, {"a*", "abc", true}, {"a*c", "abc", true}, {"a*d", "abc", false},
		{"?", "a", true}, {"?", "", false}, {"a?c", "abc", true}, {"[abc]", "b", true}, {"[^abc]", "b", false},
		{"[a-c]x", "bx", true}, {"[c-a]x", "bx", true}, {"[^a-c]", "d", true}, {`\*`, "*", true}, {`\*`, "a", false},
		{`[\]]`, "]", true}, {"[a", "a", true}, {"[", "a", false}, {`a\`, `a\`, true}, {"", "", true}, {"", "a", false},
		{"a**b", "ab", true}, {"*a*b*", "xaxxbx", true}, {"agent:*:x", "agent:1:2:x", true},
		{strings.Repeat("a*", 30) + "b", strings.Repeat("a", 500), false},
	} {
		if got := match(c.pattern, c.s); got != c.want {
			t.Errorf("match(%q, %.20q) = %v", c.pattern, c.s, got)
		}
	}
	for pattern, want := range map[string]string{"abc": "abc", "a*": "a", "*": "", `a\*`: "a", "ab[c": "ab"} {
		if got := literalPrefix(pattern); got != want {
			t.Errorf("literalPrefix(%q) = %q", pattern, got)
		}
	}
}
