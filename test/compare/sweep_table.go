package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stated/stated/cmd/stated/bench"
)

// write makes the table and the plots.
func (s *sweep) write(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(s.table()), 0o644); err != nil { //nolint:gosec // it is for everybody to read
		return err
	}
	for _, d := range dimensions() {
		if err := s.plot(d, filepath.Join(dir, d.name+".svg")); err != nil {
			return err
		}
	}
	return nil
}

// conditions say how it was measured.
func (s *sweep) conditions() string {
	return fmt.Sprintf("in-process, durability full, agents drawn uniformly; medians of %d rounds of %v s, smallest and largest beside them",
		s.Rounds, s.Seconds)
}

// constant says what stays while a dimension grows.
func (d dimension) constant() string {
	var parts []string
	if d.name != "agents" {
		parts = append(parts, thousands(baseAgents)+" agents")
	}
	if d.name == "size" {
		parts[0] += fmt.Sprintf(" (%d of the largest)", d.at(d.values[len(d.values)-1]).Agents)
	} else {
		parts = append(parts, "states of "+bench.Size{Least: baseSize, Most: baseSize}.String())
	}
	if d.name != "clients" {
		parts = append(parts, fmt.Sprintf("%d clients", baseClients))
	}
	return strings.Join(parts, ", ")
}

// table writes all figures, in Markdown.
func (s *sweep) table() string {
	var w strings.Builder
	fmt.Fprint(&w, "# Cost as work grows: the figures\n\nMade by\n\n    go -C test/compare run . -sweep sweep\n\nand not by hand; "+
		"[what bends the curves](../README.md#cost-as-work-grows).\n\n")
	fmt.Fprintf(&w, "%s.\n%s.\n", s.Machine, upper(s.conditions()))
	for _, d := range dimensions() {
		fmt.Fprintf(&w, "\n## %s\n\n%s.\n\n![%s](%s.svg)\n\n", upper(d.axis), upper(d.constant()), d.axis, d.name)
		fmt.Fprintf(&w, "| %s | | a second | MB/s | p99 ms | commits/s | requests each | memory MB | database MB | log MB |\n", d.axis)
		fmt.Fprint(&w, "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		for _, load := range sweepWorkloads {
			for _, v := range d.values {
				fmt.Fprintf(&w, "| %s | %ss | %s |\n", d.label(v), load, strings.Join(s.find(d.at(v), load).row(), " | "))
			}
		}
	}
	return w.String()
}

// row gives the cells of a result, none where it was not measured.
func (r *swept) row() []string {
	if len(r.Reports) == 0 {
		return []string{"not measured"}
	}
	cells := []string{
		formatSpread(r.spread(sweptPerSecond), thousands), megabytesCell(r.spread(sweptBytes).median),
		formatSpread(r.spread(sweptP99), func(ms float64) string { return millis(ms * float64(time.Millisecond)) }),
	}
	if r.Workload == bench.Save {
		cells = append(cells, formatSpread(r.spread(sweptCommits), thousands), formatSpread(r.spread(sweptBatch), plain))
	} else {
		cells = append(cells, "", "")
	}
	return append(cells, formatSpread(r.spread(sweptResident), megabytesCell), megabytesCell(r.spread(sweptDB).median),
		megabytesCell(r.spread(sweptWAL).median))
}

// megabytesCell writes bytes in megabytes, with as many digits as mean something.
func megabytesCell(n float64) string {
	if n < 10e6 {
		return fmt.Sprintf("%.1f", n/1e6)
	}
	return thousands(n / 1e6)
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
