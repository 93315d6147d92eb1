"""The least that keeps an event and signs it: json.dumps, HMAC, an insert and a delete, each of them committed."""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import sys
import time

from event import make_event

COUNT = int(sys.argv[1])

db = sqlite3.connect(os.path.join(os.environ["HOME"], "events.sqlite"), isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=NORMAL")
db.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, json TEXT NOT NULL)")
secret = os.urandom(32)
cpu_s = time.process_time()
for number in range(COUNT):
    text = json.dumps(make_event(f"task-{number}", number))
    row = db.execute("INSERT INTO event (json) VALUES (?)", (text,)).lastrowid
    hmac.digest(secret, text.encode(), "sha256")
    db.execute("DELETE FROM event WHERE id = ?", (row,))
cpu_s = time.process_time() - cpu_s
print(json.dumps({"cpu_us": cpu_s / COUNT * 1e6}), flush=True)
