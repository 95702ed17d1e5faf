package main

import (
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
)

// The table of a plain program. The bare loops write the columns that stated writes, so that their rows are as long.
const (
	plainTable = `CREATE TABLE IF NOT EXISTS agent_state (
		agent_id TEXT PRIMARY KEY,
		state_json TEXT NOT NULL,
		updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`
	plainUpsert = `INSERT INTO agent_state (agent_id, state_json) VALUES (?, ?)
		ON CONFLICT (agent_id) DO UPDATE SET state_json = excluded.state_json, updated_at = CURRENT_TIMESTAMP`

	wideTable = `CREATE TABLE IF NOT EXISTS agent_state (
		agent_id TEXT PRIMARY KEY,
		state_json TEXT NOT NULL,
		updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
		revision INTEGER,
		checksum INTEGER)`
	wideUpsert = `INSERT INTO agent_state (agent_id, state_json, updated_at, revision, checksum) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (agent_id) DO UPDATE SET state_json = excluded.state_json, updated_at = excluded.updated_at,
		revision = excluded.revision, checksum = excluded.checksum`

	selectState = `SELECT state_json FROM agent_state WHERE agent_id = ?`
)

// dsn names the database in a folder, with pragmas that each connection gets, the busy timeout first: the others may
// meet a lock.
func dsn(dir string, pragmas ...string) string {
	query := url.Values{"_txlock": {"immediate"}}
	for _, p := range append([]string{"busy_timeout(30000)", "journal_mode(WAL)", "synchronous(FULL)"}, pragmas...) {
		query.Add("_pragma", p)
	}
	return "file:" + filepath.Join(dir, "plain.db") + "?" + query.Encode()
}
