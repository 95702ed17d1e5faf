// Command stated keeps the state of agents: one JSON document for each agent id, in one SQLite file. It is the daemon,
// and the commands that people and scripts use.
//
// What may go in: flags, printing, exit codes, and putting the other packages together. Everything that another
// program could want lives in those packages.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(mainSignals())
}

func mainSignals() int {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	// After the first signal the second one has its usual effect: the process ends at once.
	stop := context.AfterFunc(ctx, restore)
	defer stop()
	return run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Environ())
}

// streams are the standard input and outputs of a command.
type streams struct {
	in  io.Reader
	out io.Writer // what was asked for
	err io.Writer // messages and logs
}
