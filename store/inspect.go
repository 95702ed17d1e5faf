package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/stated/stated/protocol"
)

// applicationID marks files that stated created ("Sttd"); an adopted file keeps what it has.
const applicationID = 0x53747464

// fileKind is what a file turned out to be.
type fileKind int

const (
	fileEmpty   fileKind = iota // no tables at all: to be created
	filePlain                   // a fitting agent_state without stated_meta: to be adopted
	fileRemoved                 // as filePlain, with our columns left: stated was taken out of it
	fileStated                  // ours
)

// refuse is the error of a file that is left untouched.
func refuse(path, format string, args ...any) error {
	return protocol.Errorf(protocol.CodeInvalid, "%s: %s; the file was left as it is", path, fmt.Sprintf(format, args...))
}

// inspect finds out what the file is. It returns INVALID when it is somebody else's, or of a newer version.
func inspect(ctx context.Context, c *conn, path string) (fileKind, error) {
	tables, err := userTables(ctx, c)
	if err != nil {
		return 0, err
	}
	row, _, err := c.row(ctx, "PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	if id := row[0].(int64); id != 0 && id != applicationID {
		return 0, refuse(path, "it belongs to another application (application_id 0x%08x)", uint32(id)) //nolint:gosec // 32 bits in SQLite
	}
	// In UTF-16 ids sort otherwise than by their bytes, and a state read as bytes is not what was saved.
	row, _, err = c.row(ctx, "PRAGMA encoding")
	if err != nil {
		return 0, err
	}
	if row[0] != "UTF-8" {
		return 0, refuse(path, "its text is %v, not UTF-8", row[0])
	}
	if tables["stated_meta"] {
		return fileStated, verify(ctx, c, path)
	}
	if !tables["agent_state"] {
		if len(tables) == 0 {
			return fileEmpty, nil
		}
		return 0, refuse(path, "it has tables, but no agent_state")
	}
	ours, err := fitting(ctx, c, path)
	if err != nil {
		return 0, err
	}
	if ours {
		return fileRemoved, nil
	}
	return filePlain, nil
}

func userTables(ctx context.Context, c *conn) (map[string]bool, error) {
	s, err := c.Prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	tables := map[string]bool{}
	err = s.Each(ctx, func(row []any) (bool, error) {
		tables[strings.ToLower(row[0].(string))] = true
		return true, nil
	})
	return tables, err
}

// fitting checks that agent_state is a table that stated can share: the three columns of text, the id unique by
// itself and compared by bytes, rowids, and no further column that an insert would have to fill. It reports whether
// our own columns are there too.
func fitting(ctx context.Context, c *conn, path string) (ours bool, err error) {
	s, err := c.Prepare("SELECT name, upper(type), \"notnull\", dflt_value IS NOT NULL, pk FROM pragma_table_info('agent_state')")
	if err != nil {
		return false, err
	}
	defer s.Close()
	types := map[string]string{}
	err = s.Each(ctx, func(row []any) (bool, error) {
		name := strings.ToLower(row[0].(string))
		types[name] = row[1].(string)
		switch name {
		case "agent_id", "state_json", "updated_at":
		case "revision", "checksum":
			if row[1] != "INTEGER" || row[2] != int64(0) || row[3] != int64(0) {
				return false, refuse(path, "agent_state has a column %s that is not stated's", name)
			}
		default:
			if row[2] != int64(0) && row[3] == int64(0) {
				return false, refuse(path, "agent_state has a column %s that every insert must fill", name)
			}
		}
		return true, nil
	})
	if err != nil {
		return false, err
	}
	for _, column := range []string{"agent_id", "state_json"} {
		if t := types[column]; !strings.Contains(t, "TEXT") && !strings.Contains(t, "CHAR") && !strings.Contains(t, "CLOB") {
			return false, refuse(path, "agent_state has no text column %s", column)
		}
	}
	if _, ok := types["updated_at"]; !ok {
		return false, refuse(path, "agent_state has no column updated_at")
	}
	if err := uniqueByBytes(ctx, c, path); err != nil {
		return false, err
	}
	if _, _, err := c.row(ctx, "SELECT rowid FROM agent_state LIMIT 1"); err != nil {
		if !isWrongSQL(err) {
			return false, err
		}
		return false, refuse(path, "agent_state is not a table with rowids")
	}
	_, revision := types["revision"]
	_, checksum := types["checksum"]
	if revision != checksum {
		return false, refuse(path, "agent_state has a column revision or checksum that is not stated's")
	}
	return revision, nil
}

// uniqueByBytes checks that some unique index is over agent_id alone, in binary collation.
func uniqueByBytes(ctx context.Context, c *conn, path string) error {
	row, _, err := c.row(ctx, `
		SELECT count(*) FROM pragma_index_list('agent_state') AS l
		WHERE l."unique" = 1 AND l.partial = 0
		  AND (SELECT count(*) FROM pragma_index_xinfo(l.name) WHERE key = 1) = 1
		  AND EXISTS (SELECT 1 FROM pragma_index_xinfo(l.name) WHERE key = 1 AND lower(name) = 'agent_id' AND coll = 'BINARY')`)
	if err != nil {
		return err
	}
	if row[0] == int64(0) {
		return refuse(path, "agent_state.agent_id is not a primary key compared by bytes")
	}
	return nil
}

// verify checks a file that has stated_meta: the version, the columns and the triggers. It runs at opening, and
// again whenever another process has changed the schema.
func verify(ctx context.Context, c *conn, path string) error {
	if _, err := versionOf(ctx, c, path); err != nil {
		return err
	}
	row, _, err := c.row(ctx, "SELECT store_id FROM stated_meta WHERE id = 1")
	if err != nil {
		return err
	}
	if id, isText := row[0].(string); !isText || id == "" {
		return protocol.Errorf(protocol.CodeCorrupt, "%s: stated_meta is damaged: it has lost the store id", path)
	}
	ours, err := fitting(ctx, c, path)
	if err != nil {
		return err
	}
	if !ours {
		return refuse(path, "agent_state has lost its columns revision and checksum")
	}
	row, _, err = c.row(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN ('stated_insert', 'stated_update')")
	if err != nil {
		return err
	}
	if row[0] != int64(2) {
		return refuse(path, "its triggers stated_insert and stated_update are not both there")
	}
	return nil
}

// versionOf gives the schema version of a file that has stated_meta, which this program knows.
func versionOf(ctx context.Context, c *conn, path string) (int64, error) {
	row, ok, err := c.row(ctx, "SELECT schema_version FROM stated_meta WHERE id = 1")
	if err != nil {
		return 0, err
	}
	version, isInt := int64(0), false
	if ok {
		version, isInt = row[0].(int64)
	}
	switch {
	case !isInt:
		return 0, lostRow(path)
	case version < 1:
		return 0, protocol.Errorf(protocol.CodeCorrupt, "%s: stated_meta is damaged: its schema version is %d", path, version)
	case version > int64(SchemaVersion()):
		return 0, refuse(path, "it has schema version %d, this program knows %d: use a newer one", version, SchemaVersion())
	}
	return version, nil
}

func lostRow(path string) error {
	return protocol.Errorf(protocol.CodeCorrupt, "%s: stated_meta has lost its row", path)
}
