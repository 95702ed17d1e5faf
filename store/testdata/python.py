# Made python.db, with Python 3.11 and its SQLite 3.40: the file of the project that the table comes from, after some life.
# It is never made anew: it stands for those that are out there.
import json, sqlite3
db = sqlite3.connect("python.db")
db.execute("PRAGMA user_version = 7")
db.execute("""CREATE TABLE agent_state (
    agent_id TEXT PRIMARY KEY,
    state_json TEXT NOT NULL,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
)""")
save = "INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, ?)"
for turn in range(1, 4):
    for n in range(8):
        with db:
            db.execute(save, (f"gone-{n}", json.dumps({"turn": turn, "pad": "x" * 700}), "2024-05-06 07:08:0%d" % turn))
with db:
    db.execute(save, ("alice", json.dumps({"turn": 1, "mood": "calm"}), "2024-05-06 07:08:09"))
    db.execute(save, ("bob", json.dumps({"turn": 2, "notes": ["café", "it's"]}), "2024-05-06 07:08:10"))
    db.execute(save, ("zoë ☕", json.dumps({"score": float("nan")}), None))
with db:
    db.execute("DELETE FROM agent_state WHERE agent_id LIKE 'gone-%'")
db.close()
