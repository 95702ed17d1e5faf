package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// The commands that work on the file, beside a daemon that runs on it or without one.

func addFileFlag(cmd *cobra.Command, p *program) {
	cmd.Flags().Var(&settingFlag{p: p, key: "store.path", flag: "--db"}, "db", "the SQLite file (store.path)")
}

func newCheckCommand(p *program) *cobra.Command {
	deep, asJSON := false, false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look the file over: integrity, schema, ids, counter; --deep: the checksum of every row",
		Long: `check looks the file over, also while a daemon runs on it, and changes nothing: SQLite's integrity check, the
schema, the ids and the revision counter. With --deep it compares every row with its checksum, which the integrity
check cannot do. Ids that cannot be used through stated are counted, but they are no damage.

` + exitHelp,
		Args: args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			report, err := store.Check(cmd.Context(), loaded.Store.Path, storeOptions(loaded.Config), deep)
			if err != nil {
				return err
			}
			return p.printReport(report, deep, asJSON)
		},
	}
	addFileFlag(cmd, p)
	cmd.Flags().BoolVar(&deep, "deep", false, "compare every row with its checksum")
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func (p *program) printReport(r *store.Report, deep, asJSON bool) error {
	if asJSON {
		if err := p.printJSON(r); err != nil {
			return err
		}
	} else {
		identity := fmt.Sprintf("store id  %s\nschema    %d", r.StoreID, r.SchemaVersion)
		if r.SchemaVersion == 0 && len(r.Problems) == 0 {
			identity = "store id  not adopted yet"
		}
		_, err := fmt.Fprintf(p.out, "file      %s\n%s\nrevision  %d\nagents    %d\nodd ids   %d\n",
			r.Path, identity, r.Revision, r.Agents, r.OddIDs)
		if deep && err == nil {
			_, err = fmt.Fprintf(p.out, "checksums %d compared\n", r.Checked)
		}
		for i := 0; i < len(r.Problems) && err == nil; i++ {
			_, err = fmt.Fprintf(p.out, "DAMAGE    %s\n", r.Problems[i])
		}
		if err != nil {
			return err
		}
	}
	if n := len(r.Problems); n > 0 {
		return protocol.Errorf(protocol.CodeCorrupt, "%s is damaged, in %d places", r.Path, n)
	}
	if !asJSON {
		_, err := fmt.Fprintln(p.out, "sound")
		return err
	}
	return nil
}

func newBackupCommand(p *program) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "backup DEST",
		Short: "Write a verified copy of one revision, also while a daemon runs",
		Args:  args(1, 1, "the name of the copy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			begun := time.Now()
			revision, err := store.Backup(cmd.Context(), loaded.Store.Path, args[0], storeOptions(loaded.Config))
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(map[string]any{"path": args[0], "revision": revision})
			}
			_, err = fmt.Fprintf(p.out, "%s holds revision %d, verified, %v\n", args[0], revision, time.Since(begun).Round(time.Millisecond))
			return err
		},
	}
	addFileFlag(cmd, p)
	addJSONFlag(cmd, &asJSON)
	return cmd
}
