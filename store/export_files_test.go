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

// RestoreSteps is a Restore that calls before with the number of each of its steps, and is killed when that gives false.
func RestoreSteps(ctx context.Context, src, path string, o Options, before func(n, of int) bool) (done bool, err error) {
	r := &restoration{opts: o}
	defer func() { err = errors.Join(err, r.release()) }() // as the kernel does
	steps := r.steps(src, path)
	for n, step := range steps {
		if !before(n, len(steps)) {
			return false, nil
		}
		if err := step(ctx); err != nil {
			return false, err
		}
	}
	return true, nil
}
