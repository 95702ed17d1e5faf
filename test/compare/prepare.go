package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
)

// errNotInstalled is told instead of a sample where the program is missing.
var errNotInstalled = errors.New("not installed")

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 0)) }

// prepare fills every store that a measure needs, and starts the servers.
func (c *comparison) prepare(ctx context.Context) error {
	for _, m := range c.measures {
		for _, p := range m.peers {
			if m.overTCP() || m.large() {
				continue
			}
			if err := c.fill(ctx, p, c.folder(p), c.options.agents, 64); err != nil {
				return err
			}
		}
	}
	if slices.ContainsFunc(c.measures, measure.large) {
		if err := c.fill(ctx, stated, c.folder(largeFolder), c.options.largeAgents, 512); err != nil {
			return err
		}
	}
	if c.options.syncs || slices.ContainsFunc(c.measures, measure.overTCP) {
		return c.startServers(ctx)
	}
	return nil
}

// needsPrograms says whether a daemon will run.
func (c *comparison) needsPrograms() bool {
	return c.options.syncs || slices.ContainsFunc(c.measures, measure.overTCP) || slices.ContainsFunc(c.measures, measure.large)
}

// wanted says whether -peers asks for a system.
func (c *comparison) wanted(peer string) bool {
	return len(c.options.peers) == 0 || slices.Contains(c.options.peers, peer)
}

// fill writes the agents into a peer's folder, unless that has been done.
func (c *comparison) fill(ctx context.Context, peer, dir string, agents, clients int) error {
	if c.filled[dir] {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	c.filled[dir] = true
	if peer == bareDriver || peer == bareSQL {
		clients = 1
	}
	progress("%s: writing %s agents", peer, thousands(float64(agents)))
	_, err := spec{Peer: peer, Dir: dir, Do: doFill, Clients: clients, Agents: agents}.run(ctx)
	return err
}

// startServers starts stated and Redis, each with all agents.
func (c *comparison) startServers(ctx context.Context) error {
	if c.programs.benchmark == "" {
		progress("redis-benchmark is not installed: the daemon is not measured")
		return nil
	}
	for _, name := range []string{stated, redis} {
		if !c.wanted(name) {
			continue
		}
		if name == redis && c.programs.redis == "" {
			progress("redis-server is not installed")
			continue
		}
		dir := c.serverFolder(name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		s, err := c.programs.start(ctx, name, dir)
		if err != nil {
			return err
		}
		c.servers[name] = s
		progress("%s: writing %s agents over TCP", name, thousands(float64(c.options.agents)))
		if err := s.fill(c.options.agents); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c *comparison) stopServers() error {
	var errs []error
	for name, s := range c.servers {
		errs = append(errs, s.stop())
		delete(c.servers, name)
	}
	return errors.Join(errs...)
}
