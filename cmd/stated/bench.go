package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stated/stated/cmd/stated/bench"
	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol"
)

const benchHelp = `bench puts load on a store and tells how fast it was: in this process on a temporary file, in this process on a file
(--db), or through a daemon by the Redis protocol (--addr) or by HTTP (--http).

  stated bench                                        64 clients save 1 KiB each, 10 s
  stated bench --workload load --agents 1M            load, from a million agents
  stated bench --workload mixed --skew 1.1            load, change, save if unchanged; some agents are popular
  stated bench --durability normal --set actor.batch=64
  stated bench --addr 127.0.0.1:7828 --pipeline 16    a running daemon, 16 requests in flight for each connection
  stated bench --http 127.0.0.1:7829 --size 100B-64KiB --requests 100000 --json

Before it measures it saves all agents once, then warms up. Each client has a connection of its own; in-process all
share the writer and the readers. It is a closed loop: a client sends its next requests when it has the answers to all of
those before, so a store that stalls is asked less meanwhile, and the latencies do not show what an open queue of
requests would have waited. A latency lasts from the call, the check of the JSON included, to the answer; of mixed, all of
load and save, tries after conflicts included. Failed requests have none. The memory is that of the process with
the store: in-process that includes the load. Commits, batches and files are the store's own figures: of a daemon, they
count everybody who uses it.

The agents' ids begin with ` + bench.Prefix + ` and it writes no others. It refuses a store that has agents of others,
unless told --with-others. In a file or a daemon the agents stay, unless told --clean.

` + exitHelp

// benchFlags are the options as they are written.
type benchFlags struct {
	bench.Options
	workload, agents, size, skew, requests string
	asJSON                                 bool
}

func newBenchCommand(p *program) *cobra.Command {
	t, f := &benchTarget{target: target{p: p}}, &benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure: throughput and latencies, in-process or through a daemon",
		Long:  benchHelp,
		Args:  args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := p.config()
			if err != nil {
				return err
			}
			o, err := f.options(loaded.Config, t)
			if err != nil {
				return err
			}
			report, err := p.bench(cmd.Context(), loaded.Config, t, o, f.asJSON)
			if err != nil {
				return err
			}
			if err := p.printBench(report, f.asJSON); err != nil {
				return err
			}
			return benchFailed(report)
		},
	}
	t.addFlags(cmd)
	f.addFlags(cmd)
	return cmd
}

func (f *benchFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.workload, "workload", string(bench.Save), "save, load, mixed or txn")
	flags.IntVar(&f.Clients, "clients", 64, "how many clients work at the same time")
	flags.IntVar(&f.Pipeline, "pipeline", 1, "requests that a client starts before it waits for their answers; not by HTTP")
	flags.IntVar(&f.Ops, "ops", 10, "saves in a transaction of the workload txn")
	flags.StringVar(&f.agents, "agents", "10k", "how many agents there are: a number, or one with k or M")
	flags.StringVar(&f.skew, "skew", "uniform", "which agents are asked for: uniform, or the exponent of Zipf's law, above 1")
	flags.StringVar(&f.size, "size", "1KiB", "size of a state, or a spread such as 100B-64KiB, of which each power of two is as likely")
	flags.DurationVar(&f.Duration, "duration", 10*time.Second, "how long to measure")
	flags.StringVar(&f.requests, "requests", "", "how many requests to measure, in place of a duration; as --agents")
	flags.DurationVar(&f.Warmup, "warmup", time.Second, "how long to work before that")
	flags.Uint64Var(&f.Seed, "seed", 1, "what agents and states are drawn from")
	flags.BoolVar(&f.NoFill, "no-fill", false, "the agents are there, from an earlier run with the same --agents and --size")
	exclusive(cmd, "duration", "requests")
	addJSONFlag(cmd, &f.asJSON)
	_ = cmd.RegisterFlagCompletionFunc("workload", cobra.FixedCompletions( // it fails for unknown flags only
		[]cobra.Completion{"save", "load", "mixed", "txn"}, cobra.ShellCompDirectiveNoFileComp))
}

// options reads what is more than a number.
func (f *benchFlags) options(c config.Config, t *benchTarget) (o bench.Options, err error) {
	o = f.Options
	o.Workload, o.Timeout = bench.Workload(f.workload), c.Timeouts.Request
	agents, err := parseCount("--agents", f.agents)
	if err != nil {
		return o, err
	}
	o.Agents = int(agents)
	if f.requests != "" {
		if o.Requests, err = parseCount("--requests", f.requests); err != nil {
			return o, err
		}
	}
	if f.skew != "uniform" {
		if o.Skew, err = strconv.ParseFloat(f.skew, 64); err != nil || o.Skew == 0 {
			return o, usagef("--skew %q: want uniform, or an exponent above 1 such as 1.1", f.skew)
		}
	}
	if o.Size, err = parseSizes(f.size); err != nil {
		return o, err
	}
	switch {
	case t.http != "" && o.Pipeline > 1:
		return o, usagef("--pipeline: an HTTP connection carries one request at a time; use more --clients")
	case t.db == "" && t.addr+t.http == "" && o.NoFill:
		return o, usagef("--no-fill: a temporary file has no agents yet")
	case t.addr+t.http == "" && o.Size.Most > c.Limits.StateBytes:
		return o, usagef("--size %s is above limits.state_bytes", f.size)
	}
	return o, o.Check()
}

// parseCount reads a number such as 500, 10k or 1M.
func parseCount(flag, text string) (int64, error) {
	digits, unit := text, int64(1)
	switch {
	case strings.HasSuffix(text, "k"):
		digits, unit = strings.TrimSuffix(text, "k"), 1_000
	case strings.HasSuffix(text, "M"):
		digits, unit = strings.TrimSuffix(text, "M"), 1_000_000
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > 1e12 {
		return 0, usagef("%s %q: want a number from 1 on, such as 500, 10k or 1M", flag, text)
	}
	return n * unit, nil
}

func parseSizes(text string) (bench.Size, error) {
	low, high, spread := strings.Cut(text, "-")
	if !spread {
		high = low
	}
	least, err := config.ParseSize(low)
	most, err2 := config.ParseSize(high)
	if err := errors.Join(err, err2); err != nil {
		return bench.Size{}, usagef("--size %q: want one size or two with a hyphen, such as 1KiB or 100B-64KiB", text)
	}
	return bench.Size{Least: int(least), Most: int(most)}, nil
}

// bench measures one set of options.
func (p *program) bench(ctx context.Context, c config.Config, t *benchTarget, o bench.Options, asJSON bool) (report *bench.Report, err error) {
	opened, err := t.open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	var done func()
	o.Progress, done = p.benchProgress(asJSON)
	report, err = bench.Run(ctx, opened.Target, o)
	done()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errInterrupted
	}
	if err != nil {
		return nil, err
	}
	report.Target, report.Version = opened.name, readAbout().Version
	if report.Store != nil {
		report.Store.FileSystem = opened.medium
	}
	if opened.medium != "" {
		p.benchSays("the file is in memory (%s), so nothing is synced to a disk: name one on a disk with --db, or set TMPDIR", opened.medium)
	}
	return report, t.tidy(context.WithoutCancel(ctx), p, opened)
}

// tidy deletes the agents, or tells that they are still there.
func (t *benchTarget) tidy(ctx context.Context, p *program, o *opened) (err error) {
	switch {
	case t.clean:
		h, closer, err := o.Connect(ctx)
		if err != nil {
			return err
		}
		_, err = bench.Remove(ctx, h)
		return errors.Join(err, closer())
	case o.path != "":
		p.benchSays("the agents stay in %s; --clean deletes them", o.path)
	case t.addr+t.http != "":
		p.benchSays("the agents stay in the daemon; --clean deletes them")
	}
	return nil
}

func (p *program) benchSays(format string, args ...any) {
	_, _ = fmt.Fprintf(p.err, "stated: "+format+"\n", args...) // there is nobody else to tell
}

// benchProgress shows a line each second, if a person looks at it.
func (p *program) benchProgress(asJSON bool) (report func(bench.Progress), done func()) {
	if asJSON || !isTerminal(p.err) {
		return nil, func() {}
	}
	line := &progress{out: p.err, what: "bench", now: time.Now}
	return func(s bench.Progress) { line.show(describeBench(s)) }, line.clear
}

func describeBench(s bench.Progress) string {
	text := fmt.Sprintf("bench  %s %3.0f s", s.Phase, s.Passed.Seconds())
	if s.Total > 0 {
		text += fmt.Sprintf(" %3d%%", 100*s.Done/s.Total)
	}
	text += fmt.Sprintf("  %.0f/s", s.Rate)
	if s.Errors > 0 {
		text += fmt.Sprintf("  %d errors", s.Errors)
	}
	return text
}

func (p *program) printBench(r *bench.Report, asJSON bool) error {
	if asJSON {
		return p.printJSON(r)
	}
	return r.Print(p.out)
}

// benchFailed makes requests that failed an error of the command, with the exit code of the first.
func benchFailed(r *bench.Report) error {
	if err := r.Err(); err != nil {
		return protocol.Errorf(protocol.CodeOf(err), "%d requests failed; the first: %s", r.Failed(), message(err))
	}
	return nil
}
