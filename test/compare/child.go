package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// childArg is the first argument of a process that makes one measurement, and prints it.
const childArg = "measure-one"

// run makes the measurement in a process of its own, so that no peer runs in another one's heap or beside its
// goroutines. A wrapper, strace and its arguments, may be put in front.
func (s spec) run(ctx context.Context, wrapper ...string) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	asked, err := json.Marshal(s)
	if err != nil {
		return sample{}, err
	}
	argv := append(wrapper, self, childArg, string(asked))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("%s, %s: %w", s.Peer, s.Do, err)
	}
	var out sample
	if err := json.Unmarshal(answer, &out); err != nil {
		return sample{}, fmt.Errorf("%s, %s: %w", s.Peer, s.Do, err)
	}
	return out, nil
}

// runChild is the other side of run.
func runChild(asked string) error {
	var s spec
	if err := json.Unmarshal([]byte(asked), &s); err != nil {
		return err
	}
	out, err := s.measure()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}
