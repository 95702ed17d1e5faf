package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol"
)

// run executes one command line and gives the exit code.
func run(ctx context.Context, args []string, s streams, environ []string) int {
	p := &program{streams: s, environ: environ}
	root := newRootCommand(p)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	switch {
	case err != nil && !p.began:
		err = usageError{suggestion(err)} // of the command line
	case ctx.Err() != nil && errors.Is(err, protocol.CodeCanceled):
		err = errInterrupted // to whoever has stopped it, "the caller" is nobody
	}
	if err != nil {
		_, _ = fmt.Fprintf(s.err, "stated: %s\n", message(err)) // there is nobody else to tell
	}
	return exitCode(err)
}

// program is what the commands share.
type program struct {
	streams
	environ []string

	configFile string
	settings   []config.Setting
	began      bool // a command runs: its command line was in order
}

// getenv reads a variable that belongs to the command line, not to the configuration.
func (p *program) getenv(name string) string {
	for _, entry := range p.environ {
		if key, value, _ := strings.Cut(entry, "="); key == name {
			return value
		}
	}
	return ""
}

func (p *program) config() (*config.Loaded, error) {
	file := p.configFile
	if file == "" {
		file = p.getenv("STATED_CONFIG")
	}
	return config.Load(config.Source{File: file, Environ: p.environ, Set: p.settings})
}

func newRootCommand(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "stated",
		Short: "Keep the state of agents: one JSON document for each agent id, in one SQLite file",
		Long: `stated keeps the state of agents: one JSON document for each agent id, in one SQLite file.
Many workers save and load at once; nothing that was acknowledged is lost.

  stated serve                                  run the daemon on ./stated.db
  echo '{"turn":1}' | stated save alice         save through it
  stated load alice                             load
  sqlite3 -readonly stated.db 'select * from agent_state'
                                                look at the file itself

` + exitHelp,
		Version:       cmp.Or(readAbout().Version, "unknown"),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help() // writes to the terminal only
			return usagef("name a command")
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.configFile, "config", "", "read settings from this YAML file (or STATED_CONFIG)")
	flags.Var(&settingFlag{p: p}, "set", "set a configuration key, repeatable; stated config lists the keys")
	flags.Var(&settingFlag{p: p, key: "log.level", flag: "--log-level"}, "log-level", "trace, debug, info, warn or error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see: %s --help", plain(err), cmd.CommandPath())
	})
	root.SetVersionTemplate("stated {{.Version}}\n")
	root.AddCommand(
		newServeCommand(p), newSaveCommand(p), newLoadCommand(p), newDeleteCommand(p), newListCommand(p),
		newCountCommand(p), newClearCommand(p), newCheckCommand(p), newBackupCommand(p), newRestoreCommand(p),
		newConfigCommand(p), newVersionCommand(p), newBenchCommand(p),
	)
	for _, cmd := range root.Commands() {
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			p.began = true
			return run(cmd, args)
		}
	}
	refuseUnknownTopics(root)
	return root
}

// refuseUnknownTopics lets help and completion fail where cobra prints a help and succeeds.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				_, _, err := root.Find(args)
				if err == nil {
					cmd.Run(cmd, args)
				}
				return err
			}
		case "completion":
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				return usagef("completion takes the name of a shell: bash, fish, powershell or zsh; see: %s --help", cmd.CommandPath())
			}
		}
	}
}

// suggestion puts the lines in which cobra suggests other commands into one.
func suggestion(err error) error {
	text, names, ok := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if !ok {
		return err
	}
	return fmt.Errorf("%s: did you mean %s?", text, strings.Join(strings.Fields(names), " or "))
}

// plain gives cobra's complaint about a number or a switch without the name of the function that refused it.
func plain(err error) error {
	var syntax *strconv.NumError
	if !errors.As(err, &syntax) {
		return err
	}
	wanted := "a whole number"
	switch {
	case syntax.Func == "ParseBool":
		wanted = "true or false"
	case errors.Is(syntax, strconv.ErrRange):
		wanted = "a smaller number"
	}
	return fmt.Errorf("%s: want %s", strings.TrimSuffix(err.Error(), ": "+syntax.Error()), wanted)
}

// before adds a check of the command line that is made before the command runs.
func before(cmd *cobra.Command, check func(*cobra.Command) error) {
	earlier := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if earlier != nil {
			if err := earlier(cmd, args); err != nil {
				return err
			}
		}
		return check(cmd)
	}
}

// exclusive refuses more than one of these flags. Cobra would too, in words about groups.
func exclusive(cmd *cobra.Command, names ...string) {
	before(cmd, func(cmd *cobra.Command) error {
		var given []string
		for _, name := range names {
			if cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			return usagef("%s cannot be used together; see: %s --help", strings.Join(given, " and "), cmd.CommandPath())
		}
		return nil
	})
	cmd.MarkFlagsMutuallyExclusive(names...) // for the completion
}

// settingFlag is a flag that sets a key of the configuration: a fixed one, or the one in its text.
type settingFlag struct {
	p    *program
	key  string
	flag string
	text string
}

// Set implements pflag.Value.
func (f *settingFlag) Set(text string) error {
	f.text = text
	if f.key != "" {
		f.p.settings = append(f.p.settings, config.Setting{Key: f.key, Value: text, Origin: f.flag})
		return nil
	}
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not of the form key=value", text)
	}
	f.p.settings = append(f.p.settings, config.Setting{Key: key, Value: value, Origin: "--set"})
	return nil
}

// String implements pflag.Value.
func (f *settingFlag) String() string { return f.text }

// Type implements pflag.Value.
func (f *settingFlag) Type() string {
	if f.key == "" {
		return "key=value"
	}
	return "string"
}

// args refuses another number of arguments, as an error of usage that says what is wanted.
func args(least, most int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) < least || len(given) > most {
			return usagef("%s takes %s, not %d arguments; see: %s --help", cmd.Name(), wanted, len(given), cmd.CommandPath())
		}
		return nil
	}
}
