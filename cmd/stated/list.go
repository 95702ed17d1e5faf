package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/stated/stated/protocol"
)

func newListCommand(p *program) *cobra.Command {
	t, asJSON, after, limit := &target{p: p}, false, "", 0
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List agents in byte order of their ids, with revision, time of the last change and size",
		Args:  args(0, 1, "at most a prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix := ""
			if len(args) == 1 {
				prefix = args[0]
			}
			if limit < 0 {
				return usagef("--limit %d is below 0", limit)
			}
			return t.do(cmd.Context(), reading, func(ctx context.Context, m protocol.Methods) error {
				return p.printList(ctx, m, prefix, after, limit, asJSON)
			})
		},
	}
	t.addFlags(cmd)
	cmd.Flags().StringVar(&after, "after", "", "begin behind this id")
	cmd.Flags().IntVar(&limit, "limit", 0, "print at most so many; 0 = all")
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// listPage is how many agents are asked for at a time.
const listPage = 1000

// printList prints page by page, so that any number of agents takes the same memory.
func (p *program) printList(ctx context.Context, m protocol.Methods, prefix, after string, limit int, asJSON bool) error {
	if !asJSON {
		if _, err := fmt.Fprintf(p.out, "%12s  %-23s  %12s  %s\n", "REVISION", "UPDATED (UTC)", "BYTES", "AGENT"); err != nil {
			return err
		}
	}
	for left := limit; ; {
		page := listPage
		if limit > 0 {
			page = min(page, left)
		}
		reply, err := m.List(ctx, prefix, after, page)
		if err != nil {
			return err
		}
		for _, e := range reply.Entries {
			if err := p.printEntry(e, asJSON); err != nil {
				return err
			}
		}
		left -= len(reply.Entries)
		if after = reply.Next; after == "" || limit > 0 && left <= 0 {
			return nil
		}
	}
}

func (p *program) printEntry(e protocol.Entry, asJSON bool) error {
	if asJSON {
		return p.printJSON(entryJSON{
			changeJSON: changeJSON{ID: e.ID, Revision: e.Revision, UpdatedAt: timeJSON(e.UpdatedAt)}, Bytes: e.Bytes,
		})
	}
	updated := "-"
	if !e.UpdatedAt.IsZero() {
		updated = e.UpdatedAt.Format("2006-01-02 15:04:05.000")
	}
	_, err := fmt.Fprintf(p.out, "%12d  %-23s  %12d  %s\n", e.Revision, updated, e.Bytes, printable(e.ID))
	return err
}

// printable quotes an id with characters that a terminal would not show, or obey.
func printable(id string) string {
	if strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(id)
	}
	return id
}
