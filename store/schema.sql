-- The tables and triggers of a stated file, schema version 1. It runs on SQLite 3.26 and later.

CREATE TABLE agent_state (
    agent_id TEXT PRIMARY KEY,
    state_json TEXT NOT NULL,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    revision INTEGER,
    checksum INTEGER
);
