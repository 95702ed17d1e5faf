-- What the Python project's file holds: made by its own statements with SQLite 3.40, then some life in it.
PRAGMA user_version = 7;
CREATE TABLE agent_state (
    agent_id TEXT PRIMARY KEY,
    state_json TEXT NOT NULL,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES ('alice', '{"turn": 1, "mood": "calm"}', '2024-05-06 07:08:09');
INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES ('bob', '{"turn": 2, "notes": ["caf\u00e9", "it''s"]}', '2024-05-06 07:08:10');
INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES ('zoë ☕', '{"score": NaN}', NULL);
