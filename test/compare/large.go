package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// largeFolder holds the store with many agents.
const largeFolder = "large"

func (m measure) overTCP() bool { return strings.HasPrefix(m.id, "daemon ") }
func (m measure) large() bool   { return strings.HasPrefix(m.id, "large ") }

func (c *comparison) largeSaves(ctx context.Context, peer string, round int) (sample, error) {
	s := c.spec(peer, doSave, 64, 0, round)
	s.Dir, s.Agents = c.folder(largeFolder), c.options.largeAgents
	return s.run(ctx)
}

// largeMemory starts the daemon on the store with many agents, saves and loads over TCP, and asks for the most memory that
// was ever resident.
func (c *comparison) largeMemory(ctx context.Context, peer string, _ int) (_ sample, err error) {
	if c.programs.benchmark == "" {
		return sample{}, errNotInstalled
	}
	s, err := c.programs.start(ctx, peer, c.folder(largeFolder))
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	load := redisLoad{Clients: 64, Agents: c.options.largeAgents, State: newState(seeded(0))}
	out, err := load.runFor(ctx, c.options.duration, c.programs.benchmark, s)
	if err != nil {
		return sample{}, err
	}
	load.Get = true
	if _, err := load.runFor(ctx, c.options.duration, c.programs.benchmark, s); err != nil {
		return sample{}, err
	}
	load.Pipeline = 16
	if _, err := load.runFor(ctx, c.options.duration, c.programs.benchmark, s); err != nil {
		return sample{}, err
	}
	out.Bytes, err = peakResident(s.cmd.Process.Pid)
	return out, err
}

// peakResident gives the most memory that a process ever had resident.
func peakResident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}
