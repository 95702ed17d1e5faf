package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/store"
)

// screen gives what a terminal shows of a line: \r goes back to its beginning.
func screen(written string) string {
	var line []rune
	at := 0
	for _, r := range written {
		if r == '\r' {
			at = 0
			continue
		}
		if at == len(line) {
			line = append(line, ' ')
		}
		line[at] = r
		at++
	}
	return strings.TrimRight(string(line), " ")
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	l := &progress{out: &out, what: "backup", now: func() time.Time { return now }}
	for _, c := range []struct {
		after time.Duration
		step  store.Step
		want  string
	}{
		{0, store.Step{Name: "copy", Total: 958e6, Bytes: true}, "backup  copy   0%  0 B of 958 MB"},
		{time.Millisecond, store.Step{Name: "copy", Done: 10e6, Total: 958e6, Bytes: true}, "backup  copy   0%  0 B of 958 MB"},
		{progressEvery, store.Step{Name: "copy", Done: 412e6, Total: 958e6, Bytes: true}, "backup  copy  43%  412 MB of 958 MB"},
		{0, store.Step{Name: "integrity"}, "backup  integrity"},
		{0, store.Step{Name: "rows", Total: 1000}, "backup  rows   0%  0 of 1000 agents"},
		{progressEvery, store.Step{Name: "rows", Done: 1000, Total: 1000}, "backup  rows 100%  1000 of 1000 agents"},
		{progressEvery, store.Step{Name: "rows", Done: 1024}, "backup  rows  1024"},
	} {
		now = now.Add(c.after)
		l.report(c.step)
		if got := screen(out.String()); got != c.want {
			t.Errorf("%+v: the screen shows %q, want %q", c.step, got, c.want)
		}
	}
	l.clear()
	if got := screen(out.String()); got != "" {
		t.Errorf("left on the screen: %q", got)
	}
	if text := out.String(); strings.ContainsAny(text, "\n\x1b") || !strings.HasSuffix(text, "\r") {
		t.Errorf("written: %q", text)
	}
}

func TestBytesText(t *testing.T) {
	for want, n := range map[string]int64{
		"0 B": 0, "9999 B": 9999, "10 kB": 10_000, "9999 kB": 9_999_999, "958 MB": 958_123_456, "12.3 GB": 12_345_678_901,
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
