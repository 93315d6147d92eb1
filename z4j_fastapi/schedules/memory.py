"""What a brain was last told of an owner's schedules, and which process tells it: on disk.

`<state>/<identity>/schedules.sqlite`, shared by all processes of the identity. What is sent is written here
first, so that a process that starts after a `kill -9` repeats it once (see `z4j_probes.protocol.snapshots`).
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from z4j_fastapi.commands.shared_file import SharedFile
from z4j_probes.protocol import render
from z4j_probes.protocol.snapshots import Rows, by_key

FILE_NAME = "schedules.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    stream_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    rows TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executors (
    owner TEXT PRIMARY KEY,
    seen_at REAL NOT NULL
) WITHOUT ROWID;
"""


class ScheduleMemory(SharedFile):
    """Every method may block on the disk, and raises StorageError. Any thread may call."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / FILE_NAME, _SCHEMA)
        self._file = directory / FILE_NAME

    def knows(self, owner: str) -> bool:
        """Whether a brain may show schedules of this owner. Makes no file."""
        return self._file.exists() and bool(self.rows_of(owner))

    def rows_of(self, owner: str) -> list[dict[str, Any]]:
        """What was sent last of an owner."""
        with self.transaction() as db:
            found = db.execute("SELECT rows FROM streams WHERE owner = ?", (owner,)).fetchall()
        return [row for (text,) in found for row in parsed(text).values()]

    def recall(self, stream_id: str) -> str | None:
        """What was kept for a stream."""
        with self.transaction() as db:
            row = db.execute("SELECT rows FROM streams WHERE stream_id = ?", (stream_id,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, owner: str, stream_id: str, rows: str) -> None:
        """Keep what is about to be sent. A brain has one stream for each owner: others are forgotten."""
        with self.transaction() as db:
            db.execute("DELETE FROM streams WHERE owner = ? AND stream_id != ?", (owner, stream_id))
            db.execute("INSERT OR REPLACE INTO streams VALUES (?, ?, ?)", (stream_id, owner, rows))

    def executes(self, owner: str) -> None:
        """A process of this host is the one that tells the brain now."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO executors VALUES (?, ?)", (owner, time.time()))

    def executed_s(self, owner: str) -> float | None:
        """How long ago one last was; None where that was never."""
        with self.transaction() as db:
            row = db.execute("SELECT seen_at FROM executors WHERE owner = ?", (owner,)).fetchone()
        return None if row is None else max(0.0, time.time() - row[0])


def text_of(rows: Rows) -> str:
    """Rows as a text to keep."""
    return render(list(rows.values()))


def parsed(text: str | None) -> dict[str, Any]:
    """Rows by their key; none where the text is not one of `text_of`."""
    with contextlib.suppress(ValueError, TypeError, LookupError, RecursionError):
        return dict(by_key(json.loads(text or "[]")))
    return {}
