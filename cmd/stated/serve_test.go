package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stated/stated/config"
)

// TestNewLogger_Plain: a file gets no colours, also where the format for people was asked for.
func TestNewLogger_Plain(t *testing.T) {
	var out bytes.Buffer
	p := &program{streams: streams{err: &out}}
	log := p.newLogger(config.Log{Format: "console"})
	log.Warn().Str("key", "value").Msg("hello")
	if text := out.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, "WRN hello key=value") {
		t.Errorf("logged %q", text)
	}
}
