-- What stated adds to a file: its own facts, in one row, and two triggers that give every change made by plain SQL
-- the next revision, inside that change's transaction. It runs on SQLite 3.26 and later.
--
-- stated's own writes carry a fresh checksum and a revision above the counter, which is written at the end of their
-- transaction, so the triggers leave them alone. Rows are found by rowid, since an outsider's agent_id may be NULL.
-- Neither trigger touches agent_id or state_json, so that they do not fire again under recursive_triggers, and
-- nothing here is UNIQUE: an outsider's OR REPLACE reaches into triggers and would delete another agent.

CREATE TABLE stated_meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    store_id TEXT NOT NULL
);

CREATE TRIGGER stated_insert AFTER INSERT ON agent_state
WHEN NEW.checksum IS NULL OR NEW.revision IS NULL
    OR NEW.revision <= (SELECT revision FROM stated_meta WHERE id = 1)
BEGIN
    UPDATE stated_meta SET revision = revision + 1 WHERE id = 1;
    UPDATE agent_state SET revision = (SELECT revision FROM stated_meta WHERE id = 1), checksum = NULL
    WHERE rowid = NEW.rowid;
END;

CREATE TRIGGER stated_update AFTER UPDATE OF agent_id, state_json ON agent_state
WHEN NEW.checksum IS OLD.checksum OR NEW.checksum IS NULL OR NEW.revision IS NULL OR NEW.revision <= OLD.revision
BEGIN
    UPDATE stated_meta SET revision = revision + 1 WHERE id = 1;
    UPDATE agent_state SET revision = (SELECT revision FROM stated_meta WHERE id = 1), checksum = NULL
    WHERE rowid = NEW.rowid;
END;
