package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// The commands that work on the file, beside a daemon that runs on it or without one.

func addFileFlag(cmd *cobra.Command, p *program) {
	cmd.Flags().Var(&settingFlag{p: p, key: "store.path", flag: "--db"}, "db", "the SQLite file (store.path)")
}

// maintenance gives the options of a command that can take long, and what ends the line of its progress.
func (p *program) maintenance(c config.Config, what string, asJSON bool) (o store.Options, done func()) {
	o = storeOptions(c)
	o.Progress, done = p.startProgress(what, asJSON)
	return o, done
}

func newCheckCommand(p *program) *cobra.Command {
	deep, asJSON := false, false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look the file over: integrity, schema, ids, counter; --deep: the checksum of every row",
		Long: `check looks the file over, also while a daemon runs on it, and changes nothing in it: SQLite's integrity check, the
schema, the ids and the revision counter. With --deep it compares every row with its checksum, which the integrity
check cannot do. Ids that cannot be used through stated are counted, but they are no damage.

The integrity check is the full one: SQLite's quick_check would save a third of the time (5 instead of 8 s for a million
agents of 1 KiB), but would not see an agent that a load cannot find. --deep adds a quarter (10 s).

A damaged file: make a copy of it while nothing runs on it, then put a backup into its place with stated restore.

` + exitHelp,
		Args: args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			o, done := p.maintenance(loaded.Config, "check", asJSON)
			report, err := store.Check(cmd.Context(), loaded.Store.Path, o, deep)
			done()
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
			if without := r.Agents - r.Checked; without > 0 && err == nil {
				_, err = fmt.Fprintf(p.out, "          %d rows of other programs have none\n", without)
			}
		}
		for i := 0; i < len(r.Problems) && err == nil; i++ {
			_, err = fmt.Fprintf(p.out, "DAMAGE    %s\n", r.Problems[i])
		}
		if err != nil {
			return err
		}
	}
	if n := len(r.Problems); n > 0 {
		return protocol.Errorf(protocol.CodeCorrupt, "%s is damaged, problems found: %d", r.Path, n)
	}
	if asJSON {
		return nil
	}
	verdict := "sound"
	if !deep {
		verdict = "sound, as far as can be seen without --deep, which compares the checksums"
	}
	_, err := fmt.Fprintln(p.out, verdict)
	return err
}

func newBackupCommand(p *program) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "backup DEST",
		Short: "Write a verified copy of one revision, also while a daemon runs",
		Long: `backup writes a copy of the file to DEST, also while a daemon and other programs write it. The copy is of one
revision, has no log beside it, is checked as by check --deep, and is on disk when the command ends; until then it is
called DEST.partial-…, which a killed backup leaves: remove it. The log of the file grows while the copy is made.

` + exitHelp,
		Args: args(1, 1, "the name of the copy alone (--db names the file to copy)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			begun := time.Now()
			o, done := p.maintenance(loaded.Config, "backup", asJSON)
			revision, err := store.Backup(cmd.Context(), loaded.Store.Path, args[0], o)
			done()
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

func newRestoreCommand(p *program) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "restore SRC",
		Short: "Put a backup in the place of the file, which nobody may have open",
		Long: `restore puts a copy of SRC in the place of the file (--db): a backup, another file of stated, or one that stated has
not seen yet. Stop the daemon and every other program that has the file open first: over a live file it is refused.

The copy is checked as by check --deep before the old file is touched. It gets a new store id, and a revision counter
2^32 ahead of the backup's and of the old file's, so that no revision is used twice. It keeps the mode and the owner of
the old file. A crash at any moment leaves the old file or the new one, and perhaps FILE.restoring-…, which the next
restore removes: repeat the command. The old file is gone afterwards, with its log: if it may still be of use, copy it,
its -wal and its -journal before.

` + exitHelp,
		Args: args(1, 1, "the backup alone (--db names the file to replace)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			begun := time.Now()
			o, done := p.maintenance(loaded.Config, "restore", asJSON)
			restored, err := store.Restore(cmd.Context(), args[0], loaded.Store.Path, o)
			done()
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(restored)
			}
			_, err = fmt.Fprintf(p.out, "%s holds the %d agents of %s, verified; store id %s, revision counter %d, %v\n",
				restored.Path, restored.Agents, args[0], restored.StoreID, restored.Revision, time.Since(begun).Round(time.Millisecond))
			return err
		},
	}
	addFileFlag(cmd, p)
	addJSONFlag(cmd, &asJSON)
	return cmd
}
