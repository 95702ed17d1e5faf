package store

import (
	"context"
	"errors"
	"slices"
)

// AddMigration makes the program one of the next schema version, whose migration runs these statements, one by one,
// after calling before with the number of each. The function that it gives takes that back.
func AddMigration(before func(n int), statements ...string) (undo func()) {
	released := migrations
	migrations = append(slices.Clone(released), func(ctx context.Context, c *conn, _ fileKind) error {
		for n, s := range statements {
			before(n)
			if err := c.exec(ctx, s); err != nil {
				return err
			}
		}
		before(len(statements))
		return nil
	})
	return func() { migrations = released }
}

// RestoreUntil is a Restore that is killed after n steps; done says that there are no more.
func RestoreUntil(ctx context.Context, src, path string, o Options, n int) (done bool, err error) {
	r := &restoration{opts: o}
	defer func() { err = errors.Join(err, r.release()) }() // as the kernel does
	steps := r.steps(src, path)
	for _, step := range steps[:n] {
		if err := step(ctx); err != nil {
			return false, err
		}
	}
	return n == len(steps), nil
}
