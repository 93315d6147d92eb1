"""KeptMessages: the messages of tasks that failed for good, as their broker's formatter wrote them.

taskiq keeps no message once its task has run. So the agent does: `<state>/<identity>/dead_letters.sqlite`,
private to its user like the buffer, shared by the worker processes of one host, bounded by count, size and
age. What runs again is made from here, in a worker only, and by the broker's own formatter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from z4j_fastapi.commands.engine import DeadLetter, DeadLetters, InvalidCursor
from z4j_fastapi.commands.shared_file import SharedFile

FILE_NAME = "dead_letters.sqlite"
KEPT_MESSAGES = 1_000
MOST_MESSAGES = 100_000
"""Each that is kept looks at all others: beyond this a failing task would wait for its disk."""
KEPT_S = 7 * 24 * 3600.0
MAX_MESSAGE_BYTES = 256 * 1024
"""A larger one is not kept."""
MAX_BYTES = 64 * 1024 * 1024
"""Of all messages; the oldest give way."""
MAX_ERROR = 2_000

# The largest id that SQLite has; a cursor is the id of a page's last entry.
_NEWEST = 2**63 - 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    queue TEXT NOT NULL,
    failed_at REAL NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    message BLOB NOT NULL,
    requeued_as TEXT
);
"""
_COLUMNS = "task_id, name, queue, failed_at, error, attempts, message, requeued_as"


@dataclass(frozen=True, slots=True)
class Kept:
    """A task that failed. `queue` is empty where its broker has none; `requeued_as` once it runs again."""

    task_id: str
    name: str
    queue: str
    failed_at: datetime
    error: str
    attempts: int
    message: bytes = field(repr=False)
    requeued_as: str | None = None


class KeptMessages(SharedFile):
    """Every method may block on the disk, and raises StorageError. Any thread may call."""

    def __init__(self, directory: Path, most: int = KEPT_MESSAGES) -> None:
        super().__init__(directory / FILE_NAME, _SCHEMA)
        self._most = most

    def keep(self, kept: Kept) -> None:
        """Keep one, in the place of an earlier failure of the same task."""
        if len(kept.message) > MAX_MESSAGE_BYTES:
            return
        row = (kept.task_id, kept.name, kept.queue, kept.failed_at.timestamp(), kept.error[:MAX_ERROR])
        with self.transaction() as db:
            db.execute(
                f"INSERT OR REPLACE INTO dead ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",  # noqa: S608
                (*row, kept.attempts, kept.message),
            )
            db.execute("DELETE FROM dead WHERE failed_at < ?", (time.time() - KEPT_S,))
            db.execute(
                "DELETE FROM dead WHERE id IN (SELECT id FROM ("
                "SELECT id, ROW_NUMBER() OVER newest AS number, SUM(LENGTH(message)) OVER newest AS bytes "
                "FROM dead WINDOW newest AS (ORDER BY id DESC)) WHERE number > ? OR bytes > ?)",
                (self._most, MAX_BYTES),
            )

    def find(self, task_id: str) -> Kept | None:
        """What is kept of a task."""
        with self.transaction() as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM dead WHERE task_id = ? AND failed_at >= ?",  # noqa: S608
                (task_id, time.time() - KEPT_S),
            ).fetchone()
        if row is None:
            return None
        task_id, name, queue, failed_at, error, attempts, message, requeued_as = row
        failed = datetime.fromtimestamp(failed_at, UTC)
        return Kept(task_id, name, queue, failed, error, attempts, message, requeued_as)

    def page(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        """At most `limit` of those that were not requeued, newest first. InvalidCursor."""
        before = _NEWEST if cursor is None else _position(cursor)
        chosen = "requeued_as IS NULL AND failed_at >= ? AND (? IS NULL OR queue = ?)"
        given = (time.time() - KEPT_S, queue, queue)
        with self.transaction() as db:
            rows = db.execute(
                "SELECT id, task_id, name, queue, failed_at, error, attempts FROM dead "  # noqa: S608
                f"WHERE {chosen} AND id < ? ORDER BY id DESC LIMIT ?",
                (*given, before, limit + 1),
            ).fetchall()
            (total,) = db.execute(f"SELECT COUNT(*) FROM dead WHERE {chosen}", given).fetchone()  # noqa: S608
        letters = [
            DeadLetter(task_id, name, queue, datetime.fromtimestamp(failed_at, UTC), error, attempts)
            for _, task_id, name, queue, failed_at, error, attempts in rows[:limit]
        ]
        return DeadLetters(letters, str(rows[limit - 1][0]) if len(rows) > limit else None, total)

    def claim(self, task_id: str, new_id: str) -> bool:
        """Take one off the list, for it runs again as `new_id`; False where another did so first."""
        with self.transaction() as db:
            changed = db.execute(
                "UPDATE dead SET requeued_as = ? WHERE task_id = ? AND requeued_as IS NULL", (new_id, task_id)
            )
            return changed.rowcount == 1

    def put_back(self, task_id: str, new_id: str) -> None:
        """It was not sent after all."""
        with self.transaction() as db:
            db.execute(
                "UPDATE dead SET requeued_as = NULL WHERE task_id = ? AND requeued_as = ?", (task_id, new_id)
            )


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < len(str(_NEWEST))):
        raise InvalidCursor
    return int(cursor)
