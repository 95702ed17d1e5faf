"""The same other program as main.go beside it, with Python's sqlite3: `outsider.py save FILE NAME COUNT`."""

import json
import sqlite3
import sys
import time

SAVE = "INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)"
LOAD = "SELECT state_json FROM agent_state WHERE agent_id = ?"
DELETE = "DELETE FROM agent_state WHERE agent_id = ?"


def write(db, report, agent, seq):
    state = json.dumps({"seq": seq})
    db.execute(SAVE, (agent, state))
    report["writes"] += 1
    report["last"][agent] = seq
    got = db.execute(LOAD, (agent,)).fetchone()[0]
    if got != state:
        report["errors"].append(f"{agent} holds {got} after saving {state}")


def increment(db, agent):
    db.execute("BEGIN IMMEDIATE")
    try:
        row = db.execute(LOAD, (agent,)).fetchone()
        db.execute(SAVE, (agent, str(int(row[0]) + 1 if row else 1)))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def one(db, report, name, i):
    agent = f"{name}-{i % 20}"
    if i % 4 == 3:
        increment(db, f"counter-{i % 5}")
        report["increments"] += 1
        return
    if i % 10 == 9:
        db.execute(DELETE, (agent,))
    write(db, report, agent, i)


def main(path, name, count):
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    report = {"writes": 0, "increments": 0, "locked": 0, "errors": [], "longest_ms": 0.0, "longest_at": 0, "last": {}}
    begun = time.monotonic()
    for i in range(count):
        start = time.monotonic()
        try:
            one(db, report, name, i)
        except sqlite3.OperationalError as err:
            if "locked" in str(err):
                report["locked"] += 1
            else:
                report["errors"].append(str(err))
        took = 1000 * (time.monotonic() - start)
        if took > report["longest_ms"]:
            report["longest_ms"], report["longest_at"] = took, i
    report["seconds"] = time.monotonic() - begun
    db.close()
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[2], sys.argv[3], int(sys.argv[4]))
