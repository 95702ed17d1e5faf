// Command compare runs stated and its peers side by side, with the same work on the same disk, in turns, and prints what
// came out as Markdown. See README.md.
//
// What may go in: peers, workloads, figures. What may not: anything that stated itself needs, which is why this is a
// module of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the flags say.
type options struct {
	rounds      int
	duration    time.Duration
	warmup      time.Duration
	agents      int
	largeAgents int
	large       bool
	syncs       bool
	only        []string
	peers       []string
	dir         string
	stated      string
	cpuProfile  string
	sweep       string
	redraw      bool
	under       string
}

func parseFlags() (options, error) {
	var o options
	var seconds, only, peers = 0.0, "", ""
	flag.IntVar(&o.rounds, "rounds", 5, "how often each measurement is made")
	flag.Float64Var(&seconds, "seconds", 3, "how long each measurement takes, after its warm-up of 0.5 s")
	flag.IntVar(&o.agents, "agents", 10_000, "how many agents there are")
	flag.BoolVar(&o.large, "large", false, "also measure stated with 1,000,000 agents: saves, and the daemon's memory")
	flag.BoolVar(&o.syncs, "syncs", false, "also count the syncs of each system, with strace")
	flag.StringVar(&only, "only", "", "measure these groups alone, of "+strings.Join(groups, ",")+"; \"none\" for no group")
	flag.StringVar(&peers, "peers", "", "measure these systems alone, of "+strings.Join(names(), ","))
	flag.StringVar(&o.dir, "dir", "", "where the folder for all files is made: on a real disk (default: where temporary files go, /var/tmp if that is memory)")
	flag.StringVar(&o.stated, "stated", "", "the daemon's binary (default: built from this tree)")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "only run stated's saves with 64 goroutines, and write their CPU profile to this file")
	flag.StringVar(&o.sweep, "sweep", "", "in place of comparing, measure stated alone as agents, states and clients grow: figures, table and plots go into this folder")
	flag.BoolVar(&o.redraw, "redraw", false, "with -sweep: only draw again what is in the folder")
	flag.StringVar(&o.under, "under", "", "with -sweep: run each measurement by this command, such as \"flock /tmp/lock\"")
	flag.Parse()
	o.duration, o.warmup, o.largeAgents = time.Duration(seconds*float64(time.Second)), 500*time.Millisecond, 1_000_000
	var err error
	if o.only, err = choice("only", only, append(groups, "none")); err != nil {
		return o, err
	}
	if o.peers, err = choice("peers", peers, names()); err != nil {
		return o, err
	}
	if o.sweep == "" && (o.redraw || o.under != "") {
		return o, errors.New("-redraw and -under go with -sweep")
	}
	if o.rounds < 1 || o.duration <= 0 || o.agents < 1 || flag.NArg() > 0 {
		return o, errors.New("rounds, seconds and agents have to be above 0, and there are no arguments but flags")
	}
	return o, nil
}

// choice splits a list, and refuses what is not one of all.
func choice(flag, list string, all []string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("-%s %s: there are %s", flag, name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == childArg {
		exit(runChild(os.Args[2]))
	}
	o, err := parseFlags()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if o.sweep != "" {
		err = runSweep(ctx, o)
	} else {
		err = run(ctx, o)
	}
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options) (err error) {
	dir, err := scratch(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := &comparison{
		options: o, dir: dir, servers: map[string]*server{}, filled: map[string]bool{},
		results: map[string]map[string][]sample{},
	}
	if o.cpuProfile != "" {
		return c.profile(ctx)
	}
	facts, err := machine(dir)
	if err != nil {
		return err
	}
	progress("%s", facts)
	c.plan()
	if c.needsPrograms() {
		if c.programs, err = findPrograms(ctx, dir, o.stated); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, c.stopServers()) }()
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.runRounds(ctx); err != nil {
		return err
	}
	var report strings.Builder
	c.writeReport(&report, facts)
	if o.syncs {
		counts, err := c.countSyncs(ctx)
		if err != nil && !errors.Is(err, errNotInstalled) {
			return err
		}
		writeSyncs(&report, counts, err)
	}
	_, err = fmt.Print(report.String())
	return err
}

// profile makes one measurement, of stated.
func (c *comparison) profile(ctx context.Context) error {
	if err := c.fill(ctx, stated, c.folder(stated), c.options.agents, 64); err != nil {
		return err
	}
	s := c.spec(stated, doSave, 64, 0, 0)
	s.CPUProfile = c.options.cpuProfile
	out, err := s.run(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s saves/s, p50 %s ms, p99 %s ms; the profile is in %s\n",
		thousands(out.PerSecond), millis(float64(out.P50)), millis(float64(out.P99)), s.CPUProfile)
	return nil
}

// progress tells on stderr what goes on; what was measured goes to stdout.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
