"""Programs that share the file, with Python's sqlite3 and its default timeout of 5 s. They know nothing of stated.

neighbour.py greedy FILE NAME SECONDS HOLD PAUSE
                                             one transaction after another, of at most HOLD milliseconds, at most
                                             PAUSE milliseconds after each other
neighbour.py spill FILE MEGABYTES            commit much, write as much again without a commit, and wait
neighbour.py create                          for each path on standard input: make the table, write a row, tell all
neighbour.py once FILE                       one row, and how long that took with opening the file
"""

import json
import random
import sqlite3
import sys
import time

CREATE = """CREATE TABLE IF NOT EXISTS agent_state (
    agent_id TEXT PRIMARY KEY, state_json TEXT NOT NULL, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"""
SAVE = "INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)"
LOAD = "SELECT state_json FROM agent_state WHERE agent_id = ?"


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint=0")
    return db


def transaction(db, name, seq, hold):
    """Write an agent of its own, and increment the counter that everyone increments."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(SAVE, (name, json.dumps({"seq": seq})))
        row = db.execute(LOAD, ("counter",)).fetchone()
        db.execute(SAVE, ("counter", str(int(row[0]) + 1 if row else 1)))
        if hold:
            time.sleep(random.uniform(hold / 4, hold) / 1000)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def greedy(path, name, seconds, hold, pause):
    db = connect(path)
    report = {"writes": 0, "locked": 0, "errors": [], "longest_ms": 0.0, "last": -1}
    end = time.monotonic() + float(seconds)
    seq = 0
    while time.monotonic() < end:
        start = time.monotonic()
        try:
            transaction(db, name, seq, int(hold))
            report["writes"] += 1
            report["last"] = seq
        except sqlite3.OperationalError as err:
            if "locked" in str(err):
                report["locked"] += 1
            else:
                report["errors"].append(str(err))
        report["longest_ms"] = max(report["longest_ms"], 1000 * (time.monotonic() - start))
        seq += 1
        if int(pause):
            time.sleep(random.uniform(0, int(pause)) / 1000)
    db.close()
    print(json.dumps(report))


def spill(path, megabytes):
    db = connect(path)
    pad = json.dumps("x" * (1 << 20))
    for name in "committed", "uncommitted":
        db.execute("BEGIN IMMEDIATE")
        for n in range(int(megabytes)):
            db.execute(SAVE, (f"{name}-{n}", pad))
        if name == "committed":
            db.execute("COMMIT")
    print("held", flush=True)  # the cache is small: most of it is in the log already
    sys.stdin.read()


def create():
    for line in sys.stdin:
        result = {"error": "", "agents": []}
        try:
            db = sqlite3.connect(line.strip(), isolation_level=None)
            db.execute(CREATE)
            db.execute(SAVE, ("python", "{}"))
            result["agents"] = [row[0] for row in db.execute("SELECT agent_id FROM agent_state ORDER BY 1")]
            db.close()
        except sqlite3.Error as err:
            result["error"] = str(err)
        print(json.dumps(result), flush=True)


def once(path):
    start = time.monotonic()
    db = connect(path)
    db.execute(SAVE, ("once", "{}"))
    found = db.execute("SELECT count(*) FROM agent_state WHERE agent_id LIKE 'committed-%'").fetchone()[0]
    lost = db.execute("SELECT count(*) FROM agent_state WHERE agent_id LIKE 'uncommitted-%'").fetchone()[0]
    print(json.dumps({"ms": 1000 * (time.monotonic() - start), "committed": found, "uncommitted": lost}))


if __name__ == "__main__":
    {"greedy": greedy, "spill": spill, "create": create, "once": once}[sys.argv[1]](*sys.argv[2:])
