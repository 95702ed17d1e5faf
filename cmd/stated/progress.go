package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stated/stated/store"
)

// progressEvery is how often the line of progress changes.
const progressEvery = 100 * time.Millisecond

// progress rewrites one line on a terminal, to tell how far a command has come.
type progress struct {
	out   io.Writer
	what  string // the command
	now   func() time.Time
	step  string
	shown time.Time
	width int // of the line that is shown
}

// startProgress shows the progress of a command on standard error, if a person looks at it: not in a script's log, and not
// beside --json. done takes the line away again.
func (p *program) startProgress(what string, asJSON bool) (report store.Progress, done func()) {
	if asJSON || !isTerminal(p.err) {
		return nil, func() {}
	}
	line := &progress{out: p.err, what: what, now: time.Now}
	return line.report, line.clear
}

func (l *progress) report(s store.Step) {
	now := l.now()
	if s.Name == l.step && now.Sub(l.shown) < progressEvery {
		return
	}
	l.step, l.shown = s.Name, now
	l.show(strings.TrimRight(l.what+"  "+describe(s), " "))
}

// show replaces the line. What is left of a longer one is written over.
func (l *progress) show(text string) {
	width := utf8.RuneCountInString(text)
	_, _ = fmt.Fprintf(l.out, "\r%s%s", text, strings.Repeat(" ", max(0, l.width-width))) // nobody misses it
	l.width = width
}

func (l *progress) clear() {
	if l.width > 0 {
		l.show("")
		_, _ = fmt.Fprint(l.out, "\r")
	}
}

func describe(s store.Step) string {
	done, total := fmt.Sprint(s.Done), fmt.Sprintf("%d agents", s.Total)
	if s.Bytes {
		done, total = bytesText(s.Done), bytesText(s.Total)
	}
	switch {
	case s.Total > 0:
		return fmt.Sprintf("%s %3d%%  %s of %s", s.Name, 100*s.Done/s.Total, done, total)
	case s.Done > 0:
		return s.Name + "  " + done
	default:
		return s.Name
	}
}

// bytesText gives a size as people read it.
func bytesText(n int64) string {
	switch {
	case n >= 10e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 10e6:
		return fmt.Sprintf("%d MB", n/1e6)
	case n >= 10e3:
		return fmt.Sprintf("%d kB", n/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
