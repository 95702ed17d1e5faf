package harness

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// output keeps what a process writes, line by line, and wakes those who wait for a line.
type output struct {
	mu      sync.Mutex
	lines   []string
	partial []byte
	ended   bool
	changed chan struct{} // closed and made anew with every change
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		line, rest, ok := bytes.Cut(o.partial, []byte("\n"))
		if !ok {
			break
		}
		o.lines = append(o.lines, string(line))
		o.partial = rest
	}
	o.wake()
	return len(p), nil
}

// end says that nothing more will come. An unfinished line is dropped: its writer was killed while writing it.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.wake()
}

func (o *output) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.lines...)
}

// await blocks until a line from number from on matches; ok is false if the output ends, or the time is over, before that.
func (o *output) await(from int, timeout time.Duration, match func(string) bool) (line string, ok bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for next := from; ; {
		o.mu.Lock()
		lines, ended, changed := o.lines, o.ended, o.changed
		o.mu.Unlock()
		for ; next < len(lines); next++ {
			if match(lines[next]) {
				return lines[next], true
			}
		}
		if ended {
			return "", false
		}
		select {
		case <-changed:
		case <-timer.C:
			return "", false
		}
	}
}

// Entry is a line of a daemon's log.
type Entry map[string]any

// Message is what the line says.
func (e Entry) Message() string {
	text, _ := e["message"].(string)
	return text
}

// Is reports whether the line has this level and a message that contains the text.
func (e Entry) Is(level, text string) bool {
	return e["level"] == level && strings.Contains(e.Message(), text)
}

// parseEntry reads a line of a log; anything else gives nil.
func parseEntry(line string) Entry {
	var e Entry
	if json.Unmarshal([]byte(line), &e) != nil {
		return nil
	}
	return e
}
