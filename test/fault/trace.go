package fault

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Call is one system call as strace -f -yy -xx has written it down. Start and End are the numbers of the lines in
// which it began and returned: what ended before another thing started came before it.
type Call struct {
	Thread     int
	Name       string
	Args       []string // texts are decoded; of a descriptor only its number is left
	Path       string   // the file of the first descriptor among the arguments
	Result     int64    // -1 for an error, and for a call that never returned
	Error      string   // EIO and so on
	ResultPath string   // the file of the descriptor that was returned
	Injected   bool
	Returned   bool
	Start, End int
}

// Arg gives an argument, "" when there is none.
func (c *Call) Arg(i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

// Number gives an argument that is a number.
func (c *Call) Number(i int) int64 {
	n, err := strconv.ParseInt(c.Arg(i), 0, 64)
	if err != nil {
		return -1
	}
	return n
}

// Trace is what strace has recorded of a process with all its threads.
type Trace struct {
	Calls  []*Call // in the order in which they began
	Killed bool    // by SIGKILL
	Lines  int
}

// ParseTrace reads the output of strace -f -yy -xx -o.
func ParseTrace(r io.Reader) (*Trace, error) {
	t := &Trace{}
	open := map[int]*unfinished{} // by thread
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if line == "" {
			return t, nil
		}
		t.Lines++
		if err := t.line(strings.TrimSuffix(line, "\n"), open); err != nil {
			return nil, fmt.Errorf("line %d of the trace: %w: %.200q", t.Lines, err, line)
		}
	}
}

// unfinished is a call of which strace has written the first half.
type unfinished struct {
	call *Call
	text string
}

func (t *Trace) line(line string, open map[int]*unfinished) error {
	number, text, ok := strings.Cut(line, " ")
	thread, err := strconv.Atoi(number)
	if !ok || err != nil {
		return errors.New("no thread")
	}
	text = strings.TrimLeft(text, " ")
	switch {
	case strings.HasPrefix(text, "+++"):
		t.Killed = t.Killed || strings.Contains(text, "killed by SIGKILL")
		return nil
	case strings.HasPrefix(text, "---"):
		return nil
	case strings.HasPrefix(text, "<... "):
		half := open[thread]
		_, rest, ok := strings.Cut(text, " resumed>")
		if half == nil || !ok {
			return errors.New("resumed what was not begun")
		}
		delete(open, thread)
		half.call.End = t.Lines
		return half.call.parse(half.text + rest)
	}
	call := &Call{Thread: thread, Result: -1, Start: t.Lines, End: t.Lines}
	t.Calls = append(t.Calls, call)
	if begun, ok := strings.CutSuffix(text, "<unfinished ...>"); ok {
		open[thread] = &unfinished{call, begun}
		return call.parse(begun) // as far as it goes, in case that it never returns
	}
	return call.parse(text)
}

// parse reads name(args) = result; the end may be missing.
func (c *Call) parse(text string) error {
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		return errors.New("no call")
	}
	c.Name, c.Args = name, nil
	for {
		rest = strings.TrimLeft(rest, " ")
		if rest == "" {
			return nil // unfinished
		}
		if tail, ok := strings.CutPrefix(rest, ")"); ok {
			return c.result(tail)
		}
		arg, path, tail, err := argument(rest)
		if err != nil {
			return err
		}
		if path != "" && c.Path == "" && !strings.HasPrefix(arg, "AT_") {
			c.Path = path
		}
		c.Args = append(c.Args, arg)
		rest = strings.TrimPrefix(tail, ",")
	}
}

// argument takes one argument off the text: a string, a descriptor with its path, or a plain word.
func argument(text string) (arg, path, rest string, err error) {
	if strings.HasPrefix(text, `"`) {
		end := strings.IndexByte(text[1:], '"') + 1 // with -xx no quote is inside
		if end == 0 {
			return "", "", "", errors.New("a text without end")
		}
		if strings.HasPrefix(text[end+1:], "...") {
			return "", "", "", errors.New("strace has cut a text off: -s is too small")
		}
		arg, err = unhex(text[1:end])
		return arg, "", text[end+1:], err
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '[', '{', '(':
			depth++
		case ']', '}':
			depth--
		case '<':
			end := endOfPath(text[i:])
			if end < 0 {
				return "", "", "", errors.New("a path without end")
			}
			if path == "" {
				path, err = unhex(text[i+1 : i+end])
				arg = text[:i]
			}
			if err != nil {
				return "", "", "", err
			}
			i += end
		case ',', ')':
			if text[i] == ')' && depth > 0 {
				depth--
				continue
			}
			if depth > 0 {
				continue
			}
			if path == "" {
				arg = text[:i]
			}
			return strings.TrimSpace(arg), path, text[i:], nil
		}
	}
	if path == "" {
		arg = text
	}
	return strings.TrimSpace(arg), path, "", nil
}

// endOfPath gives where the path ends at whose < the text begins: a socket has an arrow inside.
func endOfPath(text string) int {
	for i := range len(text) {
		if text[i] == '>' && text[i-1] != '-' {
			return i
		}
	}
	return -1
}

// result reads what stands behind the arguments: = 0, = 3</a/path>, = -1 EIO (...) (INJECTED), = ? .
func (c *Call) result(text string) error {
	_, text, ok := strings.Cut(text, "= ")
	if !ok {
		return nil // unfinished
	}
	c.Injected = strings.Contains(text, "(INJECTED)")
	word, _, _ := strings.Cut(text, " ")
	word, path, named := strings.Cut(word, "<")
	if word == "?" {
		return nil
	}
	n, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		return fmt.Errorf("no result: %w", err)
	}
	c.Result, c.Returned = n, true
	if named {
		c.ResultPath, err = unhex(strings.TrimSuffix(path, ">"))
	}
	if fields := strings.Fields(text); n < 0 && len(fields) > 1 {
		c.Error = fields[1]
	}
	return err
}

// unhex decodes \xNN; other characters are left as they are.
func unhex(text string) (string, error) {
	if !strings.Contains(text, `\x`) {
		return text, nil
	}
	b := make([]byte, 0, len(text)/4)
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b = append(b, text[i])
			continue
		}
		if i+3 >= len(text) {
			return "", errors.New("half a byte")
		}
		n, err := strconv.ParseUint(text[i+2:i+4], 16, 8)
		if err != nil {
			return "", err
		}
		b = append(b, byte(n))
		i += 3
	}
	return string(b), nil
}
