package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// measure is one thing that several systems are compared in.
type measure struct {
	id    string // its first word is its group, see -only
	title string
	unit  string
	peers []string
	run   func(ctx context.Context, peer string, round int) (sample, error)
}

// The measures that targets refer to.
const (
	saves1, saves64, saves256   = "saves 1", "saves 64", "saves 256"
	loads64                     = "loads 64"
	set64, set64x16             = "daemon set 64", "daemon set 64 pipeline 16"
	get64, get64x16             = "daemon get 64", "daemon get 64 pipeline 16"
	bare64                      = "bare 64"
	largeSaves64, largeResident = "large saves 64", "large memory"
)

// comparison is one run of the program.
type comparison struct {
	options  options
	dir      string
	programs programs
	servers  map[string]*server
	filled   map[string]bool // folders
	measures []measure
	results  map[string]map[string][]sample // measure, peer, round
}

// groups are what -only names.
var groups = []string{"saves", "bare", "loads", "daemon", "large"}

func (c *comparison) plan() {
	inProcess := []string{stated, pebble, bbolt, naive, redka}
	for _, clients := range []int{64, 256, 1} {
		peers := inProcess
		if clients == 1 {
			peers = slices.Insert(slices.Clone(inProcess), 1, bareDriver)
		}
		c.add(measure{
			id: fmt.Sprintf("saves %d", clients), title: "Saves, " + callers(clients), unit: "saves/s", peers: peers,
			run: c.inProcess(doSave, clients, 0),
		})
	}
	for _, batch := range []int{64, 512} {
		c.add(measure{
			id: fmt.Sprintf("bare %d", batch), title: fmt.Sprintf("The bare driver, one goroutine, %d upserts in a transaction", batch),
			unit: "upserts/s", peers: []string{bareDriver, bareSQL}, run: c.inProcess(doSave, 1, batch),
		})
	}
	c.add(measure{
		id: loads64, title: "Loads, " + callers(64), unit: "loads/s", peers: inProcess,
		run: c.inProcess(doLoad, 64, 0),
	})
	servers := []string{stated, redis}
	for _, pipeline := range []int{1, 16} {
		suffix, note := "", "no pipeline"
		if pipeline > 1 {
			suffix, note = fmt.Sprintf(" pipeline %d", pipeline), fmt.Sprintf("pipeline of %d", pipeline)
		}
		c.add(measure{
			id: "daemon set 64" + suffix, title: "SET over TCP, 64 connections, " + note, unit: "saves/s", peers: servers,
			run: c.overTCP(redisLoad{Clients: 64, Pipeline: pipeline}),
		})
		c.add(measure{
			id: "daemon get 64" + suffix, title: "GET over TCP, 64 connections, " + note, unit: "loads/s", peers: servers,
			run: c.overTCP(redisLoad{Clients: 64, Pipeline: pipeline, Get: true}),
		})
	}
	if c.options.large {
		c.add(measure{
			id: largeSaves64, title: "Saves with " + thousands(float64(c.options.largeAgents)) + " agents, " + callers(64), unit: "saves/s",
			peers: []string{stated}, run: c.largeSaves,
		})
		c.add(measure{
			id: largeResident, title: "Daemon with " + thousands(float64(c.options.largeAgents)) + " agents under load, 64 connections",
			unit: "saves/s", peers: []string{stated}, run: c.largeMemory,
		})
	}
}

// add leaves out what -only and -peers leave out.
func (c *comparison) add(m measure) {
	group, _, _ := strings.Cut(m.id, " ")
	if len(c.options.only) > 0 && !slices.Contains(c.options.only, group) {
		return
	}
	m.peers = slices.DeleteFunc(slices.Clone(m.peers), func(p string) bool { return !c.wanted(p) })
	if len(m.peers) > 0 {
		c.measures = append(c.measures, m)
	}
}

func callers(n int) string {
	if n == 1 {
		return "1 goroutine"
	}
	return fmt.Sprintf("%d goroutines", n)
}

// folder gives a peer's own.
func (c *comparison) folder(peer string) string {
	return filepath.Join(c.dir, strings.NewReplacer(" ", "-", "/", "-").Replace(peer))
}

// serverFolder gives a server's own: the library and the daemon do not share a file, so that both can be open.
func (c *comparison) serverFolder(name string) string { return c.folder("server " + name) }

func (c *comparison) inProcess(do string, clients, batch int) func(context.Context, string, int) (sample, error) {
	return func(ctx context.Context, peer string, round int) (sample, error) {
		return c.spec(peer, do, clients, batch, round).run(ctx)
	}
}

func (c *comparison) spec(peer, do string, clients, batch, round int) spec {
	return spec{
		Peer: peer, Dir: c.folder(peer), Do: do, Clients: clients, Batch: batch, Agents: c.options.agents,
		Warmup: c.options.warmup, Duration: c.options.duration, Seed: uint64(round) + 1,
	}
}

// overTCP runs redis-benchmark for about as long as the others run: how many requests that takes, its warm-up tells.
func (c *comparison) overTCP(load redisLoad) func(context.Context, string, int) (sample, error) {
	load.Agents = c.options.agents
	return func(ctx context.Context, peer string, round int) (sample, error) {
		s := c.servers[peer]
		if s == nil {
			return sample{}, errNotInstalled
		}
		load.State = newState(seeded(uint64(round) + 1))
		return load.runFor(ctx, c.options.duration, c.programs.benchmark, s)
	}
}

// runRounds goes through all measures, and through the peers of each in turn, forwards and backwards.
func (c *comparison) runRounds(ctx context.Context) error {
	for round := range c.options.rounds {
		for _, m := range c.measures {
			peers := slices.Clone(m.peers)
			if round%2 == 1 {
				slices.Reverse(peers)
			}
			for _, p := range peers {
				began := time.Now()
				s, err := m.run(ctx, p, round)
				if err == errNotInstalled { //nolint:errorlint // it is not wrapped
					continue
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", m.title, p, err)
				}
				c.keep(m.id, p, s)
				progress("round %d of %d: %s: %s: %s %s in %v", round+1, c.options.rounds, m.title, p,
					thousands(s.PerSecond), m.unit, time.Since(began).Round(time.Millisecond))
			}
		}
	}
	return nil
}

func (c *comparison) keep(measure, peer string, s sample) {
	if c.results[measure] == nil {
		c.results[measure] = map[string][]sample{}
	}
	c.results[measure][peer] = append(c.results[measure][peer], s)
}
