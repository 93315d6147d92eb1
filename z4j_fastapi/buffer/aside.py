"""SetAside: events that no brain takes, kept where they hold up no other.

`aside.sqlite` in the identity's directory, shared by its processes, so opened for each use only and with
SQLite's ordinary locks. Who looks at them decides: append them to a buffer again, or delete them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from z4j_fastapi.buffer import forks
from z4j_probes.errors import StorageError
from z4j_probes.storage import storage_error
from z4j_probes.storage.aside import FILE_NAME
from z4j_probes.storage.database import create_private
from z4j_probes.storage.faults import UNWRITABLE

# More is no bad event but a brain that takes nothing, and the file must not fill the disk.
MAX_EVENTS = 1000
MAX_BYTES = 16 * 1024 * 1024

# Another process is in it for milliseconds.
_LOCK_S = 2.0

_VERSION = 1
_SCHEMA = """CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, set_aside_at TEXT NOT NULL, code TEXT NOT NULL, json TEXT NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class AsideEvent:
    """An event that was set aside: its id in the file, when (UTC), why (a code), and its JSON."""

    id: int
    set_aside_at: datetime
    code: str
    json: str

    def __repr__(self) -> str:
        return f"AsideEvent({self.id}, {self.code})"  # events hold the arguments of a user's tasks


class SetAside:
    """The events that were set aside in one identity's directory. All methods raise StorageError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / FILE_NAME

    def add(self, events: Sequence[str], code: str) -> int:
        """Set events aside, given as JSON; how many of them there was room for."""
        now = datetime.now(UTC).isoformat()
        with self._open() as connection:
            have, size = connection.execute(
                "SELECT count(*), total(length(CAST(json AS BLOB))) FROM event"
            ).fetchone()
            room = MAX_BYTES - int(size)
            taken = []
            for json in events[: MAX_EVENTS - have]:
                room -= len(json.encode())
                if room < 0:
                    break
                taken.append((now, code, json))
            connection.executemany("INSERT INTO event (set_aside_at, code, json) VALUES (?, ?, ?)", taken)
        return len(taken)

    def count(self) -> int:
        """How many there are."""
        if not self._exists:
            return 0
        with self._open() as connection:
            found: int = connection.execute("SELECT count(*) FROM event").fetchone()[0]
        return found

    def list(self) -> list[AsideEvent]:
        """All of them, oldest first."""
        if not self._exists:
            return []
        with self._open() as connection:
            rows = connection.execute("SELECT id, set_aside_at, code, json FROM event ORDER BY id").fetchall()
        return [AsideEvent(id_, datetime.fromisoformat(at), code, json) for id_, at, code, json in rows]

    def delete(self, ids: Sequence[int]) -> int:
        """Delete the events with these ids; how many were there."""
        if not self._exists:
            return 0
        with self._open() as connection:
            cursor = connection.executemany("DELETE FROM event WHERE id = ?", [(id_,) for id_ in ids])
        return cursor.rowcount

    @property
    def _exists(self) -> bool:
        try:
            self._path.stat()  # not exists(): since Python 3.14 it says no where it can't tell
            return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:  # no permission, or a disk that fails: what is there is not known
            raise storage_error(exc, f"{self._path} can't be used") from exc

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own, durable when it is over."""
        create_private(self._path)
        try:
            with forks.inside():
                connection = sqlite3.connect(self._path, timeout=_LOCK_S, isolation_level=None)
                try:
                    connection.execute("PRAGMA secure_delete=ON")
                    connection.execute("BEGIN IMMEDIATE")
                    version = connection.execute("PRAGMA user_version").fetchone()[0]
                    if version > _VERSION:
                        raise StorageError(UNWRITABLE, f"{self._path} is of a newer version")
                    connection.execute(_SCHEMA)
                    connection.execute(f"PRAGMA user_version={_VERSION}")
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    connection.close()  # which rolls back what is not committed
        except sqlite3.Error as exc:
            raise storage_error(exc, f"{self._path} can't be used") from exc
