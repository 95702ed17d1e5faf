package store

import (
	"context"
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
