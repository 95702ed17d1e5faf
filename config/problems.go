package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Key    string // empty when it is a whole file
	Origin string // where the value came from: "default", "file PATH, line N", "environment NAME", "flag NAME"
	Text   string // what is wrong, and what would be right
}

// Error gives the key, the origin and the text.
func (p Problem) Error() string {
	if p.Key == "" {
		return p.Origin + ": " + p.Text
	}
	key := p.Key
	if strings.ContainsFunc(key, unicode.IsControl) {
		key = strconv.Quote(key) // a problem has one line
	}
	return key + " (" + p.Origin + "): " + p.Text
}

// Problems is the error of a configuration: everything that is wrong with it, in the order of the layers.
type Problems []Problem

// Error gives one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// groups gives the first parts of the keys, in order.
func groups() []string {
	var all []string
	for _, key := range Keys() {
		group, _, _ := strings.Cut(key, ".")
		all = append(all, group)
	}
	return slices.Compact(all)
}

// isGroup reports whether there are keys below this one.
func isGroup(key string) bool {
	return slices.ContainsFunc(Keys(), func(k string) bool { return strings.HasPrefix(k, key+".") })
}

// nearest gives the candidate that an unknown key was probably meant to be, or nothing: one that only has more in
// the middle or in front (mailbox, timeouts.retry_max), else the one with the fewest letters to change.
func nearest(key string, candidates []string) string {
	dot := strings.LastIndexByte(key, '.') + 1
	group, last := key[:dot], key[dot:]
	best, least := "", max(1, len(key)/3)+1
	for _, candidate := range candidates {
		rest, ok := strings.CutPrefix(candidate, group)
		if ok && last != "" && (strings.HasSuffix(rest, "."+last) || strings.HasSuffix(rest, "_"+last)) {
			return candidate
		}
		if d := distance(key, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is the number of bytes to insert, remove or replace to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
