package store

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"path/filepath"
)

var (
	//go:embed schema.sql
	schemaSQL string
	//go:embed versioning.sql
	versioningSQL string
)

// migrations, in their order: number n makes a file of schema version n one of version n+1. What stated has not seen
// yet, an empty file or one of the project that the table comes from, has version 0. A migration that was released is
// never changed. It runs in a transaction with all that follow, so that a crash leaves the file as it was or as it is
// to be.
var migrations = []migration{createOrAdopt}

type migration func(context.Context, *conn, fileKind) error

// SchemaVersion is the version of the file format that this code writes. It stands in stated_meta: user_version
// belongs to the application that shares the file.
func SchemaVersion() int { return len(migrations) }

// migrate brings the file that c has open to the newest version, in one transaction.
func migrate(ctx context.Context, c *conn, path string) error {
	todo, _, err := pending(ctx, c, path)
	if err != nil || len(todo) == 0 {
		return err
	}
	// The file may have become one with a log just now, and c has made that log. SQLite goes on when it cannot make the
	// name durable; the first checkpoint would then write into the file what a power cut leaves half done.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return c.inTransaction(ctx, func() error { return migrateWithin(ctx, c, path) })
}

// migrateWithin is migrate inside a transaction that has begun.
func migrateWithin(ctx context.Context, c *conn, path string) error {
	todo, kind, err := pending(ctx, c, path) // another process may have been quicker
	if err != nil || len(todo) == 0 {
		return err
	}
	for _, step := range todo {
		if err := step(ctx, c, kind); err != nil {
			return err
		}
	}
	return c.exec(ctx, "UPDATE stated_meta SET schema_version = ? WHERE id = 1", int64(SchemaVersion()))
}

// pending gives the migrations that the file still needs.
func pending(ctx context.Context, c *conn, path string) ([]migration, fileKind, error) {
	kind, err := inspect(ctx, c, path)
	if err != nil || kind != fileStated {
		return migrations, kind, err
	}
	version, err := versionOf(ctx, c, path)
	if err != nil {
		return nil, kind, err
	}
	return migrations[version:], kind, nil
}

// createOrAdopt makes what is there of schema version 1. Adopting a file takes the same short time whatever its size:
// nothing is copied or read, rows without a revision count as revision 1. Only a file out of which stated was taken has
// its old revisions and checksums cleared, row by row, since nobody kept them up meanwhile.
func createOrAdopt(ctx context.Context, c *conn, kind fileKind) error {
	counter := 1
	var sql string
	switch kind {
	case fileEmpty:
		counter = 0
		sql = fmt.Sprintf("PRAGMA application_id=%d;", applicationID) + schemaSQL
	case filePlain:
		sql = "ALTER TABLE agent_state ADD COLUMN revision INTEGER; ALTER TABLE agent_state ADD COLUMN checksum INTEGER;"
	case fileRemoved:
		sql = `DROP TRIGGER IF EXISTS stated_insert; DROP TRIGGER IF EXISTS stated_update;
			UPDATE agent_state SET revision = NULL, checksum = NULL;`
	}
	if err := c.exec(ctx, sql+versioningSQL); err != nil {
		return err
	}
	return c.exec(ctx, "INSERT INTO stated_meta (id, schema_version, revision, store_id) VALUES (1, 1, ?, ?)",
		int64(counter), rand.Text())
}
