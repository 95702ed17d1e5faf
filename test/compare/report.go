package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// writeReport prints what was measured, in Markdown.
func (c *comparison) writeReport(w *strings.Builder, machine string) {
	fmt.Fprintf(w, "# stated and its peers\n\n%s.\n", machine)
	fmt.Fprintf(w, "States of %s bytes, %s agents in random order, closed loop, every save acknowledged when it is on the disk. ",
		thousands(stateBytes), thousands(float64(c.options.agents)))
	fmt.Fprintf(w, "Rounds: %d, alternating, %v for each measurement. Medians, and smallest to largest in brackets.\n",
		c.options.rounds, c.options.duration)
	fmt.Fprint(w, "\n| system | version | how |\n|---|---|---|\n")
	for _, k := range kinds {
		if c.takesPart(k.name) {
			fmt.Fprintf(w, "| %s | %s | %s |\n", k.name, versionOf(k.module), k.how)
		}
	}
	if c.takesPart(redis) {
		version := "not installed"
		if c.programs.redis != "" {
			version = redisVersion(c.programs.redis)
		}
		fmt.Fprintf(w, "| %s | %s | appendonly yes, appendfsync always; driven by redis-benchmark, as the daemon |\n", redis, version)
	}
	for _, m := range c.measures {
		c.writeMeasure(w, m)
	}
	writeTargets(w, c.results)
}

func (c *comparison) takesPart(peer string) bool {
	for _, m := range c.measures {
		for _, p := range m.peers {
			if p == peer {
				return true
			}
		}
	}
	return false
}

func (c *comparison) writeMeasure(w *strings.Builder, m measure) {
	fmt.Fprintf(w, "\n## %s\n\n| system | %s | p50 ms | p99 ms | max ms | CPU µs each | failed | %s : it |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
		m.title, m.unit, m.peers[0])
	reference := c.results[m.id][m.peers[0]]
	for _, p := range m.peers {
		samples := c.results[m.id][p]
		if len(samples) == 0 {
			fmt.Fprintf(w, "| %s | not installed | | | | | | |\n", p)
			continue
		}
		ratio := "1"
		if p != m.peers[0] {
			ratio = formatSpread(spreadOf(ratios(reference, samples, perSecond)), plain)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", p, formatSpread(spreadOf(each(samples, perSecond)), thousands),
			formatSpread(spreadOf(each(samples, p50)), millis),
			formatSpread(spreadOf(each(samples, p99)), millis),
			formatSpread(spreadOf(each(samples, longestTime)), millis),
			formatSpread(spreadOf(each(samples, cpu)), micros),
			thousands(spreadOf(each(samples, failures)).max), ratio)
	}
	for _, p := range m.peers {
		for _, s := range c.results[m.id][p] {
			if s.Failed > 0 {
				fmt.Fprintf(w, "\n%s failed with: %s\n", p, s.FirstError)
				break
			}
		}
	}
}

// writeTargets prints what is to be shown, and whether it is. A target whose measure did not run says so.
func writeTargets(w *strings.Builder, results map[string]map[string][]sample) {
	fmt.Fprint(w, "\n## What it must show\n\n| measure | target | measured | |\n|---|---:|---:|---|\n")
	for _, t := range targets {
		bound, values := t.boundText(), t.values(results)
		if len(values) == 0 {
			fmt.Fprintf(w, "| %s | %s | | not measured |\n", t.name, bound)
			continue
		}
		s := spreadOf(values)
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", t.name, bound, formatSpread(s, t.format), t.verdict(s.median))
	}
}

func formatSpread(s spread, format func(float64) string) string {
	if s.min == s.max {
		return format(s.median)
	}
	return fmt.Sprintf("%s (%s to %s)", format(s.median), format(s.min), format(s.max))
}

// thousands writes a count, rounded, with commas.
func thousands(n float64) string {
	digits := strconv.FormatInt(int64(n+0.5), 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plain writes a ratio with as many digits as mean something.
func plain(n float64) string {
	if n >= 10 {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return strconv.FormatFloat(n, 'f', 2, 64)
}

// millis writes nanoseconds as milliseconds.
func millis(n float64) string {
	digits := 2
	if n < float64(100*time.Microsecond) {
		digits = 4
	}
	return strconv.FormatFloat(n/float64(time.Millisecond), 'f', digits, 64)
}

// micros writes nanoseconds as microseconds.
func micros(n float64) string {
	return strconv.FormatFloat(n/float64(time.Microsecond), 'f', 1, 64)
}

func megabytes(n float64) string { return thousands(n/1e6) + " MB" }
