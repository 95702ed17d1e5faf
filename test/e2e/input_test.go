package e2e

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// TestBadInput_Redis sends what nobody should send. Each gets an error that says what is wrong and where, and the
// daemon goes on, on the same connection too.
func TestBadInput_Redis(t *testing.T) {
	d := harness.Start(t, harness.File(t))
	tooLarge := string(largeState(protocol.MaxStateBytes+1, 1))
	cases := []struct {
		name string
		args []string
		want []string // what the error has to say
	}{
		{"a state of 8 MiB and 1 byte", []string{"STATE.SAVE", "a", tooLarge}, []string{"INVALID", "too_large=1", "8388609", "8388608"}},
		{"SET of 8 MiB and 1 byte", []string{"SET", "a", tooLarge}, []string{"INVALID", "too_large=1", "8388609", "8388608"}},
		{"an id of 513 bytes", []string{"STATE.SAVE", strings.Repeat("i", 513), "{}"}, []string{"INVALID", "513 bytes", "512"}},
		{"loading an id of 513 bytes", []string{"STATE.LOAD", strings.Repeat("i", 513)}, []string{"INVALID", "513 bytes", "512"}},
		{"an empty id", []string{"STATE.SAVE", "", "{}"}, []string{"INVALID", "empty"}},
		{"NUL in an id", []string{"STATE.SAVE", "a\x00b", "{}"}, []string{"INVALID", "0x00", "byte 1"}},
		{"a line break in an id", []string{"SET", "ab\r\n", "{}"}, []string{"INVALID", "0x0d", "byte 2"}},
		{"an id that is not UTF-8", []string{"STATE.SAVE", "abc\xff", "{}"}, []string{"INVALID", "UTF-8", "byte 3"}},
		{"a state that is not UTF-8", []string{"STATE.SAVE", "a", "\"\xff\""}, []string{"INVALID", "UTF-8", "byte 1"}},
		{"NUL in a state", []string{"STATE.SAVE", "a", "{\"a\":\x00}"}, []string{"INVALID", "byte 5"}},
		{"broken JSON", []string{"STATE.SAVE", "a", `{"a":1,}`}, []string{"INVALID", "offset=7", "byte 7"}},
		{"JSON cut short", []string{"SET", "a", `{"a":`}, []string{"INVALID", "byte 5", "end"}},
		{"two values", []string{"SET", "a", `{} {}`}, []string{"INVALID", "byte 3"}},
		{"an empty state", []string{"STATE.SAVE", "a", ""}, []string{"INVALID", "empty"}},
		{"1,001 levels", []string{"SET", "a", strings.Repeat("[", 1001) + strings.Repeat("]", 1001)}, []string{"INVALID", "byte 1000", "deep"}},
		{"a revision beyond int64", []string{"STATE.SAVE", "a", "{}", "IFREV", "9223372036854775808"}, []string{"ERR", "integer"}},
		{"a revision far beyond int64", []string{"STATE.DELETE", "a", "IFREV", strings.Repeat("9", 400)}, []string{"ERR", "integer"}},
		{"revision 0", []string{"STATE.SAVE", "a", "{}", "IFREV", "0"}, []string{"INVALID", "revision 0"}},
		{"a revision below 0", []string{"STATE.SAVE", "a", "{}", "IFREV", "-1"}, []string{"INVALID", "revision -1"}},
		{"a page of 10,001", []string{"STATE.LIST", "LIMIT", "10001"}, []string{"INVALID", "10001", "10000"}},
		{"a page of 10^20", []string{"STATE.LIST", "LIMIT", "100000000000000000000"}, []string{"ERR", "integer"}},
		{"a cursor that is none", []string{"SCAN", "x"}, []string{"ERR", "cursor"}},
		{"an option that is none", []string{"STATE.SAVE", "a", "{}", "IFFY"}, []string{"ERR", "syntax"}},
		{"too few arguments", []string{"STATE.SAVE", "a"}, []string{"ERR", "wrong number of arguments"}},
		{"a command that is none", []string{"STATE.DESTROY", "a"}, []string{"ERR", "unknown command"}},
	}
	c := dialRaw(t, d.Addr)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			wantError(t, c.do(tc.args...), tc.want)
			wantReply(t, c.do("PING"), "PONG")
			c.do("MULTI")
			if _, ok := c.do(tc.args...).(replyError); !ok {
				t.Error("it is queued by MULTI")
			}
			wantError(t, c.do("EXEC"), []string{"EXECABORT"})
			wantReply(t, c.do("DBSIZE"), 0)
		})
	}
}

func wantError(t *testing.T, reply any, want []string) {
	t.Helper()
	text, ok := reply.(replyError)
	if !ok {
		t.Fatalf("the reply is %.200v, want an error", reply)
	}
	for i, w := range want {
		if i == 0 && !strings.HasPrefix(string(text), w+" ") || !strings.Contains(string(text), w) {
			t.Errorf("the error is %q, want %q in it", text, want)
		}
	}
}

// TestBadInput_Protocol sends what is no command at all. The connection ends, after an error where one can be given,
// and everybody else notices nothing.
func TestBadInput_Protocol(t *testing.T) {
	d := harness.Start(t, harness.File(t))
	bystander := dialRaw(t, d.Addr)
	cases := []struct{ name, input, want string }{
		{"10 GB announced", "*3\r\n$10\r\nSTATE.SAVE\r\n$1\r\na\r\n$10000000000\r\n{", "Protocol error: invalid bulk length 10000000000"},
		{"10^30 bytes announced", "*2\r\n$3\r\nGET\r\n$1000000000000000000000000000000\r\n", "Protocol error: invalid bulk length"},
		{"a billion arguments announced", "*1000000000\r\n", "Protocol error: invalid multibulk length"},
		{"a length below 0", "*1\r\n$-7\r\n", "Protocol error: invalid bulk length"},
		{"no number", "*one\r\n", "Protocol error: invalid multibulk length"},
		{"no bulk string", "*1\r\nPING\r\n", "Protocol error: expected '$'"},
		{"a bulk string longer than announced", "*1\r\n$4\r\nPINGS\r\n", "Protocol error"},
		{"an inline command without an end", strings.Repeat("x", 100<<10), "Protocol error: too big inline request"},
		{"unbalanced quotes", "SET a \"b\r\n", "Protocol error: unbalanced quotes"},
		{"a browser", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n", ""},
		{"a command cut short", "*2\r\n$3\r\nGET\r\n$5\r\nab", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			before := harness.Memory(t, d.Pid(), "VmHWM")
			c := dialRaw(t, d.Addr)
			if _, err := io.WriteString(c.nc, tc.input); err != nil {
				t.Fatal(err)
			}
			if tc.want == "" {
				_ = c.nc.(interface{ CloseWrite() error }).CloseWrite() // the daemon may have closed it first
			} else {
				wantError(t, c.must(), []string{"ERR", tc.want})
			}
			if reply, err := c.read(); err == nil {
				t.Errorf("the connection goes on with %v", reply)
			} else if !errors.Is(err, io.EOF) {
				t.Logf("the connection ends with %v", err)
			}
			wantReply(t, bystander.do("PING"), "PONG")
			wantReply(t, bystander.do("DBSIZE"), 0)
			if grown := harness.Memory(t, d.Pid(), "VmHWM") - before; grown > 64<<20 {
				t.Errorf("the daemon took %d MiB for it", grown>>20)
			}
		})
	}
}

// TestBadInput_CLI is the same on the command line: exit code 2, one line that says what is wrong.
func TestBadInput_CLI(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	other := harness.File(t)
	cases := []struct {
		name  string
		args  []string
		stdin string
		want  []string
	}{
		{"a state of 8 MiB and 1 byte", []string{"save", "a"}, string(largeState(protocol.MaxStateBytes+1, 1)), []string{"more than 8388608 bytes"}},
		{"an id of 513 bytes", []string{"save", strings.Repeat("i", 513)}, "{}", []string{"513 bytes"}},
		{"an id that is not UTF-8", []string{"load", "abc\xff"}, "", []string{"UTF-8", "byte 3"}},
		{"an empty id", []string{"delete", ""}, "", []string{"empty"}},
		{"broken JSON", []string{"save", "a"}, `{"a":1,}`, []string{"byte 7"}},
		{"NUL in a state", []string{"save", "a"}, "\x00", []string{"byte 0"}},
		{"nothing on standard input", []string{"save", "a"}, "", []string{"empty"}},
		{"a revision beyond int64", []string{"save", "a", "--if-revision", "9223372036854775808"}, "{}", []string{"9223372036854775808", "--if-revision"}},
		{"revision 0", []string{"save", "a", "--if-revision", "0"}, "{}", []string{"revision 0"}},
		{"a file that is not there", []string{"save", "a", "/nowhere/state.json"}, "", []string{"/nowhere/state.json"}},
		{"an unknown flag", []string{"load", "a", "--fast"}, "", []string{"--fast", "--help"}},
		{"no id", []string{"load"}, "", []string{"one agent id", "--help"}},
		{"two conditions", []string{"save", "a", "--if-absent", "--if-exists"}, "{}", []string{"--if-exists and --if-absent", "together"}},
		{"a revision that is no number", []string{"save", "a", "--if-revision", "abc"}, "{}", []string{`"abc"`, "--if-revision", "flag: want a whole number;"}},
		{"a switch that is none", []string{"count", "--json=maybe"}, "", []string{`"maybe"`, "--json", "flag: want true or false;"}},
		{"a state in place of a file", []string{"save", "a", `{"a":1}`}, "", []string{"standard input", "| stated save a"}},
		{"clear without --yes", []string{"clear"}, "", []string{"--yes"}},
	}
	for _, tc := range cases {
		for where, target := range map[string][]string{"daemon": {"--addr", d.Addr}, "file": {"--db", other}} {
			t.Run(tc.name+", "+where, func(t *testing.T) {
				r := harness.Run(t, harness.Command{Args: append(tc.args, target...), Stdin: strings.NewReader(tc.stdin)})
				wantFailure(t, r, 2, tc.want...)
			})
		}
	}
	wantReply(t, dialRaw(t, d.Addr).do("DBSIZE"), 0)
}

// TestBadInput_CLITarget names a target, or a command, that there cannot be.
func TestBadInput_CLITarget(t *testing.T) {
	const form = "host:port"
	cases := []struct {
		name string
		args []string
		env  string
		want []string
	}{
		{"an empty file", []string{"count", "--db", ""}, "", []string{"--db is empty"}},
		{"an empty address", []string{"count", "--addr", ""}, "", []string{"--addr is empty"}},
		{"an address and a file", []string{"count", "--addr", "127.0.0.1:7828", "--db", "x"}, "", []string{"--addr and --db", "together"}},
		{"a port", []string{"count", "--addr", "7828"}, "", []string{`--addr: "7828"`, form}},
		{"a host", []string{"count", "--addr", "localhost"}, "", []string{`"localhost"`, form}},
		{"a port beyond all", []string{"count", "--addr", "127.0.0.1:99999"}, "", []string{`"127.0.0.1:99999"`, form}},
		{"port 0", []string{"count", "--addr", "127.0.0.1:0"}, "", []string{`"127.0.0.1:0"`, form}},
		{"a URL", []string{"count", "--addr", "redis://127.0.0.1:7828"}, "", []string{`"redis://127.0.0.1:7828"`, form}},
		{"a socket without a path", []string{"count", "--addr", "unix:"}, "", []string{`"unix:"`, "unix:/path"}},
		{"a port in the environment", []string{"count"}, "STATED_ADDR=7828", []string{`STATED_ADDR: "7828"`, form}},
		{"an unknown command", []string{"lode", "a"}, "", []string{`"lode"`, "did you mean load?"}},
		{"an unknown command with its flags", []string{"lode", "a", "--db", "x"}, "", []string{`"lode"`, "did you mean load?"}},
		{"help of an unknown command", []string{"help", "frob"}, "", []string{`"frob"`}},
		{"an unknown command with --help", []string{"frob", "--help"}, "", []string{`"frob"`}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			wantFailure(t, harness.Run(t, harness.Command{Args: tc.args, Env: []string{tc.env}}), 2, tc.want...)
		})
	}
}

// wantFailure expects an exit code, nothing on standard output, and one line on standard error that says all of want.
func wantFailure(t *testing.T, r harness.Result, code int, want ...string) {
	t.Helper()
	if r.Code != code || r.Stdout != "" {
		t.Errorf("exit code %d, want %d; standard output %q", r.Code, code, r.Stdout)
	}
	line, rest, ok := strings.Cut(r.Stderr, "\n")
	if !ok || rest != "" || !strings.HasPrefix(line, "stated: ") {
		t.Errorf("standard error is not one line: %q", r.Stderr)
	}
	for _, w := range want {
		if !strings.Contains(r.Stderr, w) {
			t.Errorf("the message is %q, want %q in it", r.Stderr, w)
		}
	}
	if len(r.Stderr) > 2000 {
		t.Errorf("the message has %d bytes", len(r.Stderr))
	}
}
