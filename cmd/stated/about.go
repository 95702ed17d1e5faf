package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stated/stated/store"
)

// These are set by the linker in a release, -ldflags "-X main.version=v0.1.0 -X main.commit=…", where the Go toolchain
// does not see the repository.
var version, commit string

// about is what the program tells of itself.
type about struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	SQLite  string `json:"sqlite"`
	Schema  int    `json:"schema"`
}

func readAbout() about {
	a := about{
		Version: version, Commit: cmp.Or(commit, "unknown"), Go: runtime.Version(),
		SQLite: store.SQLiteVersion, Schema: store.SchemaVersion(),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return a
	}
	if a.Version == "" {
		a.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && commit == "" {
			a.Commit = s.Value
		}
	}
	return a
}

func newVersionCommand(p *program) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of stated, Go, SQLite and the file format",
		Args:  args(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			a := readAbout()
			if asJSON {
				return p.printJSON(a)
			}
			_, err := fmt.Fprintf(p.out, "stated %s\ncommit %s\ngo     %s\nsqlite %s\nschema %d\n", a.Version, a.Commit, a.Go, a.SQLite, a.Schema)
			return err
		},
	}
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func newConfigCommand(p *program) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print every setting and where its value came from, and check them",
		Args:  args(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			if asJSON {
				for _, v := range loaded.Values() {
					if err := p.printJSON(map[string]any{"key": v.Key, "value": v.Value, "origin": v.Origin}); err != nil {
						return err
					}
				}
				return nil
			}
			w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
			for _, v := range loaded.Values() {
				if _, err := fmt.Fprintf(w, "%s\t%v\t%s\n", v.Key, v.Value, v.Origin); err != nil {
					return err
				}
			}
			return w.Flush()
		},
	}
	addJSONFlag(cmd, &asJSON)
	return cmd
}
