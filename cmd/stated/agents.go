package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stated/stated/protocol"
)

// The commands of one operation each.

func newSaveCommand(p *program) *cobra.Command {
	t, cond, asJSON := &target{p: p}, &condition{}, false
	cmd := &cobra.Command{
		Use:   "save ID [FILE or -]",
		Short: "Save an agent's state: a JSON document from a file or standard input, byte for byte",
		Args:  args(1, 2, "an agent id and perhaps a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			state, err := p.readState(cmd.Context(), args, loaded.Limits.StateBytes)
			if err != nil {
				return err
			}
			op, err := protocol.Save(args[0], state, cond.get(cmd))
			if err != nil { // no file is made for it
				return err
			}
			return t.do(cmd.Context(), creating, func(ctx context.Context, m protocol.Methods) error {
				reply, err := protocol.Do(ctx, m.Handler, op)
				if err != nil {
					return err
				}
				return p.printChange(asJSON, changeJSON{ID: args[0], Revision: reply.Revision, UpdatedAt: timeJSON(reply.UpdatedAt)})
			})
		},
	}
	t.addFlags(cmd)
	cond.addFlags(cmd, true)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// readState reads the state that the arguments of save name, of at most so many bytes. It ends with ctx, and then
// leaves the read behind: nothing can end one from a terminal.
func (p *program) readState(ctx context.Context, args []string, most int) ([]byte, error) {
	var state []byte
	done := make(chan error, 1)
	go func() {
		var err error
		state, err = p.readInput(args, int64(most)+1)
		done <- err
	}()
	select {
	case <-ctx.Done():
		return nil, errInterrupted
	case err := <-done:
		if err != nil {
			return nil, err
		}
	}
	if len(state) > most {
		return nil, protocol.Errorf(protocol.CodeInvalid, "state has more than %d bytes (limits.state_bytes)", most).
			With(protocol.FactTooLarge, "1")
	}
	return state, nil
}

// readInput reads at most so many bytes of the named file, or of standard input.
func (p *program) readInput(args []string, most int64) ([]byte, error) {
	if len(args) == 1 || args[1] == "-" {
		if isTerminal(p.in) {
			_, _ = fmt.Fprintln(p.err, "stated: type the state, end with Ctrl-D") // a hint only
		}
		return io.ReadAll(io.LimitReader(p.in, most))
	}
	id, name := args[0], args[1]
	f, err := os.Open(name)
	switch {
	case err != nil && name != "" && strings.Contains(`{["`, name[:1]):
		return nil, usagef("no file has this name; pass the state on standard input: echo '…' | stated save %s", id)
	case err != nil:
		return nil, usagef("%w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	state, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, usagef("%w", err)
	}
	return state, nil
}

func newLoadCommand(p *program) *cobra.Command {
	t, asJSON := &target{p: p}, false
	cmd := &cobra.Command{
		Use:   "load ID",
		Short: "Print an agent's state, byte for byte",
		Args:  args(1, 1, "one agent id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			op, err := protocol.Load(args[0])
			if err != nil {
				return err
			}
			return t.do(cmd.Context(), reading, func(ctx context.Context, m protocol.Methods) error {
				reply, err := protocol.Do(ctx, m.Handler, op)
				if err != nil {
					return err
				}
				if !asJSON {
					return p.printState(reply.State)
				}
				if err := protocol.ValidateState(reply.State); err != nil {
					return fmt.Errorf("what another program wrote for %q cannot stand inside JSON (%s): load it without --json", args[0], message(err))
				}
				return p.printJSON(recordJSON{
					changeJSON: changeJSON{ID: args[0], Revision: reply.Revision, UpdatedAt: timeJSON(reply.UpdatedAt)},
					State:      reply.State,
				})
			})
		},
	}
	t.addFlags(cmd)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// printState writes the bytes as they are. On a terminal a line break ends them.
func (p *program) printState(state []byte) error {
	if _, err := p.out.Write(state); err != nil {
		return err
	}
	if isTerminal(p.out) && len(state) > 0 && state[len(state)-1] != '\n' {
		_, err := fmt.Fprintln(p.out)
		return err
	}
	return nil
}

func newDeleteCommand(p *program) *cobra.Command {
	t, cond, asJSON := &target{p: p}, &condition{}, false
	cmd := &cobra.Command{
		Use:   "delete ID",
		Short: "Delete an agent",
		Args:  args(1, 1, "one agent id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			op, err := protocol.Delete(args[0], cond.get(cmd))
			if err != nil {
				return err
			}
			return t.do(cmd.Context(), writing, func(ctx context.Context, m protocol.Methods) error {
				reply, err := protocol.Do(ctx, m.Handler, op)
				if err != nil {
					return err
				}
				if !reply.Found {
					return protocol.NotFound(args[0])
				}
				return p.printChange(asJSON, changeJSON{ID: args[0], Revision: reply.Revision})
			})
		},
	}
	t.addFlags(cmd)
	cond.addFlags(cmd, false)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func newCountCommand(p *program) *cobra.Command {
	t, asJSON := &target{p: p}, false
	cmd := &cobra.Command{
		Use:   "count [PREFIX]",
		Short: "Count agents",
		Args:  args(0, 1, "at most a prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix := ""
			if len(args) == 1 {
				prefix = args[0]
			}
			return t.do(cmd.Context(), reading, func(ctx context.Context, m protocol.Methods) error {
				n, err := m.Count(ctx, prefix)
				if err != nil {
					return err
				}
				if asJSON {
					return p.printJSON(map[string]int64{"count": n})
				}
				_, err = fmt.Fprintln(p.out, n)
				return err
			})
		},
	}
	t.addFlags(cmd)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func newClearCommand(p *program) *cobra.Command {
	t, asJSON, yes := &target{p: p}, false, false
	cmd := &cobra.Command{
		Use:   "clear --yes",
		Short: "Delete every agent",
		Args:  args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return usagef("clear deletes every agent: say --yes if you mean it")
			}
			return t.do(cmd.Context(), writing, func(ctx context.Context, m protocol.Methods) error {
				reply, err := m.Clear(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return p.printJSON(map[string]int64{"deleted": reply.Count, "revision": reply.Revision})
				}
				_, err = fmt.Fprintf(p.out, "deleted %d agents, revision %d\n", reply.Count, reply.Revision)
				return err
			})
		},
	}
	t.addFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "really delete every agent")
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// changeJSON is what --json prints of one agent.
type changeJSON struct {
	ID        string `json:"agent_id"`
	Revision  int64  `json:"revision"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

type entryJSON struct {
	changeJSON
	Bytes int64 `json:"bytes"`
}

type recordJSON struct {
	changeJSON
	State json.RawMessage `json:"state"`
}

// timeJSON always has three digits of milliseconds, so that times sort as text. Without a time it is empty.
func timeJSON(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (p *program) printChange(asJSON bool, c changeJSON) error {
	if asJSON {
		return p.printJSON(c)
	}
	_, err := fmt.Fprintf(p.out, "revision %d\n", c.Revision)
	return err
}
