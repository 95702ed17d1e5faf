package resp

import (
	"strings"

	"github.com/stated/stated/protocol"
)

// checkPattern refuses a pattern that would take long to match.
func checkPattern(pattern []byte) error {
	if len(pattern) > maxPatternBytes {
		return protocol.Errorf(protocol.CodeInvalid, "the pattern has %d bytes, at most %d are allowed",
			len(pattern), maxPatternBytes).With(protocol.FactTooLarge, "1")
	}
	return nil
}

// literalPrefix is what every text that matches the pattern begins with.
func literalPrefix(pattern string) string {
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// match reports whether s matches a pattern in Redis's way, byte by byte: * any text, ? one byte, [a-c] or [^a-c]
// one byte of a class, \ the byte behind it as it is. Only the last * is ever tried again, since what an earlier
// one could give is no more than what the later one can: that takes at most len(pattern) * len(s) steps, each of
// which may walk through one class.
func match(pattern, s string) bool {
	star, mark := -1, 0 // behind the last *, and how much of s it was left with
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, mark = p, i
			continue
		}
		if next, ok := matchByte(pattern, p, s[i]); ok {
			p, i = next, i+1
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchByte matches one byte against the element at p, and gives the index behind that element.
func matchByte(pattern string, p int, c byte) (next int, ok bool) {
	if p >= len(pattern) {
		return p, false
	}
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchClass(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// matchClass matches one byte against a class whose elements begin at p. A class that is not closed ends with
// the pattern.
func matchClass(pattern string, p int, c byte) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	found := false
	for p < len(pattern) && pattern[p] != ']' {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			found = found || pattern[p+1] == c
			p += 2
		case p+2 < len(pattern) && pattern[p+1] == '-':
			low, high := min(pattern[p], pattern[p+2]), max(pattern[p], pattern[p+2])
			found = found || low <= c && c <= high
			p += 3
		default:
			found = found || pattern[p] == c
			p++
		}
	}
	return min(p+1, len(pattern)), found != not
}
