package resp

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
)

// inline reads a command that a person typed: words on one line, which may be quoted.
func (d *decoder) inline() error {
	line, err := d.line()
	if err != nil {
		return err
	}
	words, ok := splitWords(line)
	switch {
	case !ok:
		return protocolError("unbalanced quotes in request")
	case len(words) == 0:
		return nil
	case isHTTP(words[0]):
		return errBrowser
	case len(words) == 3 && is(words[0], "GET") && bytes.HasPrefix(words[2], []byte("HTTP/")):
		return errHTTP
	case len(words)-1 > d.limits.args:
		return d.limits.tooManyArgs()
	}
	overhead := argOverhead
	if d.many(words[0]) {
		overhead += opOverhead
	}
	if err := d.take(commandOverhead + overhead*len(words)); err != nil {
		return err
	}
	arena := make([]byte, 0, len(line))
	for _, w := range words {
		arena = append(arena, w...)
		d.ends = append(d.ends, len(arena))
	}
	d.arena = arena
	return nil
}

// line reads up to a line break, which may be longer than the buffer.
func (d *decoder) line() ([]byte, error) {
	for {
		part, err := d.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(d.arena)+len(part) > d.limits.line {
			return nil, protocolError("too big inline request")
		}
		if grow := d.grow(len(part)); grow != nil {
			return nil, grow
		}
		d.arena = append(d.arena, part...)
		if err == nil {
			return bytes.TrimRight(d.arena, "\r\n"), nil
		}
	}
}

func isHTTP(word []byte) bool {
	return bytes.EqualFold(word, []byte("POST")) || bytes.EqualFold(word, []byte("Host:"))
}

// splitWords cuts a line at its blanks. In double quotes, \n \r \t \b \a \xHH and \ before any other byte are
// understood; in single quotes, only \'. It reports false for quotes that do not close or that touch a word.
func splitWords(line []byte) ([][]byte, bool) {
	var words [][]byte
	for i := 0; i < len(line); {
		if isBlank(line[i]) {
			i++
			continue
		}
		word, next, ok := oneWord(line, i)
		if !ok {
			return nil, false
		}
		words = append(words, word)
		i = next
	}
	return words, true
}

// oneWord reads the word that begins at i, and gives the index behind it.
func oneWord(line []byte, i int) (word []byte, next int, ok bool) {
	word = []byte{}
	for i < len(line) && !isBlank(line[i]) {
		quote := line[i]
		if quote != '"' && quote != '\'' {
			word = append(word, quote)
			i++
			continue
		}
		if word, i, ok = quoted(line, i+1, quote, word); !ok {
			return nil, 0, false
		}
		return word, i, i == len(line) || isBlank(line[i])
	}
	return word, i, true
}

// quoted reads up to the closing quote, appending to word, and gives the index behind it.
func quoted(line []byte, i int, quote byte, word []byte) ([]byte, int, bool) {
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			return word, i + 1, true
		case c != '\\' || i+1 == len(line):
			word = append(word, c)
		case quote == '\'':
			if line[i+1] == '\'' {
				i++
			}
			word = append(word, line[i])
		default:
			var skip int
			c, skip = unescape(line[i+1:])
			word = append(word, c)
			i += skip
		}
	}
	return nil, 0, false
}

// unescape reads what follows a backslash: the byte that is meant, and how many bytes were read.
func unescape(s []byte) (byte, int) {
	if s[0] == 'x' && len(s) >= 3 {
		if n, err := strconv.ParseUint(string(s[1:3]), 16, 8); err == nil {
			return byte(n), 3
		}
	}
	if i := bytes.IndexByte([]byte("nrtba"), s[0]); i >= 0 {
		return "\n\r\t\b\a"[i], 1
	}
	return s[0], 1
}

func isBlank(c byte) bool { return c == ' ' || (c >= '\t' && c <= '\r') || c == 0 }
