"""EventLog: the events in one SQLite file, oldest first, with counters that need no scan.

Each row carries how many events and bytes the file has ever seen, itself included; one `ledger` row
carries how many have left. What is there is the difference, so opening costs the same with two million
rows as with none, and appending writes one row and nothing else.

Durability. `synchronous=NORMAL` in WAL mode: a commit is a write to the kernel without fsync, which
survives the death of the process but not a power cut. `sync` makes the log durable against that too
(the buffer calls it every second), and checkpoints fsync in the right order, so that a power cut costs the
last moments, never the file (`synchronous=OFF` could cost the file). No fsync happens in `append`:
automatic checkpoints are off, and `checkpoint` writes the first frame of the restarted log itself.

Not thread-safe, and raises sqlite3.Error: EventBuffer sees to both.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from z4j_probes.errors import StorageError
from z4j_probes.storage import storage_error
from z4j_probes.storage.faults import CORRUPT

# A row as it is read: its id and the event's JSON.
Row = tuple[int, str]

_SCHEMA_VERSION = 1
_PAGE_BYTES = 4096
# Schema, event and ledger: one page each. A file without events can't be smaller.
EMPTY_FILE_BYTES = 3 * _PAGE_BYTES

# The frames after which a checkpoint is due: 8 MiB of log. More would make the start after a kill slower
# (the log is read whole), less would mean more fsyncs.
CHECKPOINT_FRAMES = 2000
# A file that has grown beyond this is cut down when the last event has left it.
_SHRINK_ABOVE_PAGES = 4096

_SCHEMA = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY, events_seen INTEGER NOT NULL, bytes_seen INTEGER NOT NULL, json TEXT NOT NULL
);
CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    events_gone INTEGER NOT NULL, bytes_gone INTEGER NOT NULL, dropped INTEGER NOT NULL
);
INSERT INTO ledger VALUES (1, 0, 0, 0);
"""
_INSERT = "INSERT INTO event VALUES (?, ?, ?, ?)"


def utf8_size(text: str) -> int:
    """How many bytes `text` is on the wire. Raises UnicodeEncodeError for a lone surrogate."""
    return len(text) if text.isascii() else len(text.encode())


class EventLog:
    """One buffer file, open and locked. `frames` estimates the length of its write-ahead log.

    Raises StorageError where the file can't be used, and leaves the connection to the caller then.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.frames = 0
        self.last_id = 0
        self._events_seen = self._bytes_seen = 0
        self._events_gone = self._bytes_gone = self._dropped = 0
        try:
            self._prepare()
            self._wal = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except (sqlite3.Error, OSError) as exc:
            raise storage_error(exc, f"{path} can't be used") from exc

    @property
    def depth(self) -> int:
        """How many events are in the file."""
        return self._events_seen - self._events_gone

    @property
    def bytes(self) -> int:
        """How many bytes of JSON they are."""
        return self._bytes_seen - self._bytes_gone

    @property
    def dropped(self) -> int:
        """How many events were ever dropped for want of room, earlier processes included."""
        return self._dropped

    def append(self, id_: int, json: str, size: int) -> None:
        """Add one event, newer than all others; it outlives this process once this returns."""
        # counted first: a signal handler that raises comes between the two
        self._events_seen += 1
        self._bytes_seen += size
        try:
            self._connection.execute(_INSERT, (id_, self._events_seen, self._bytes_seen, json))
        except sqlite3.Error:
            self._events_seen -= 1
            self._bytes_seen -= size
            raise
        self.frames += 1 + size // _PAGE_BYTES

    def append_many(self, rows: Iterable[Row]) -> None:
        """Add events in one transaction: all of them, or none."""
        events, size, values = self._events_seen, self._bytes_seen, []
        for id_, json in rows:
            events += 1
            size += utf8_size(json)
            values.append((id_, events, size, json))
        with self._transaction():
            self._connection.executemany(_INSERT, values)
        self.frames += len(values) + (size - self._bytes_seen) // _PAGE_BYTES
        self._events_seen, self._bytes_seen = events, size

    def read(self, first: int, last: int, limit: int) -> list[Row]:
        """The oldest events with ids from `first` to `last`."""
        query = "SELECT id, json FROM event WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        return self._connection.execute(query, (first, last, limit)).fetchall()

    def delete(self, first: int, last: int) -> None:
        """Remove the events with ids from `first` to `last`, as many as are there."""
        self._remove(first, last, 0)

    def drop_oldest(self, events: int, size: int) -> None:
        """Remove the oldest until `events` of them and `size` bytes are gone, and count them as lost."""
        query = "SELECT id, length(CAST(json AS BLOB)) FROM event ORDER BY id"
        count = found = last = 0
        for id_, length in self._connection.execute(query):
            count, found, last = count + 1, found + length, id_
            if count >= events and found >= size:
                break
        if count:
            self._remove(0, last, count)

    def add_dropped(self, events: int) -> None:
        """Count events as lost that never came this far, or (negative) that another file counts now."""
        self._write_ledger(self._events_gone, self._bytes_gone, self._dropped + events)
        self._dropped += events

    @property
    def is_deleted(self) -> bool:
        """Whether somebody has deleted the file, or its log, under this process (a cleaner of /tmp)."""
        return os.fstat(self._wal).st_nlink == 0 or not self._path.exists()

    def sync(self) -> None:
        """Make what was appended so far survive a power cut. Needs no exclusive use of this object."""
        os.fsync(self._wal)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database, and start it anew."""
        if self.depth == 0 and self._pages() > _SHRINK_ABOVE_PAGES:
            self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self.frames = 0
        # The first write after a checkpoint fsyncs the new log's header: here, not in somebody's append.
        self.add_dropped(0)

    def close(self) -> None:
        """Leave the file checkpointed, as small as it can be where it is empty, and unlocked."""
        with contextlib.suppress(sqlite3.Error):
            if self.depth == 0 and self._pages() * _PAGE_BYTES > EMPTY_FILE_BYTES:
                self._connection.execute("VACUUM")
        self._connection.close()
        os.close(self._wal)

    def forsake(self) -> None:
        """Let go of everything but the connection, which belongs to whoever sets the file aside."""
        os.close(self._wal)

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA synchronous=NORMAL")
        execute("PRAGMA wal_autocheckpoint=0")
        execute("PRAGMA temp_store=MEMORY")
        version = execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in execute("SELECT name FROM sqlite_master")}
        if version == 0 and not tables:
            with self._transaction():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    execute(statement)
                execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
        elif version != _SCHEMA_VERSION or tables != {"event", "ledger"}:
            raise StorageError(CORRUPT, f"{self._path} is not a buffer of this version")
        ledger = execute("SELECT events_gone, bytes_gone, dropped FROM ledger").fetchone()
        if ledger is None:
            raise StorageError(CORRUPT, f"{self._path} has lost its ledger")
        self._events_gone, self._bytes_gone, self._dropped = ledger
        newest = execute("SELECT id, events_seen, bytes_seen FROM event ORDER BY id DESC LIMIT 1").fetchone()
        self.last_id, self._events_seen, self._bytes_seen = newest or (0, self._events_gone, self._bytes_gone)
        # A first frame now, for the reason given in `checkpoint`. On a full disk what is here is still read.
        with contextlib.suppress(sqlite3.OperationalError):
            self.add_dropped(0)

    def _remove(self, first: int, last: int, dropped: int) -> None:
        execute = self._connection.execute
        where = "FROM event WHERE id BETWEEN ? AND ?"
        count, size = execute(
            f"SELECT count(*), total(length(CAST(json AS BLOB))) {where}",
            (first, last),
        ).fetchone()
        if not count:
            return
        events_gone, bytes_gone = self._events_gone + count, self._bytes_gone + int(size)
        with self._transaction():
            execute(f"DELETE {where}", (first, last))
            self._write_ledger(events_gone, bytes_gone, self._dropped + dropped)
        self._events_gone, self._bytes_gone = events_gone, bytes_gone
        self._dropped += dropped

    def _write_ledger(self, events_gone: int, bytes_gone: int, dropped: int) -> None:
        self._connection.execute(
            "UPDATE ledger SET events_gone = ?, bytes_gone = ?, dropped = ?",
            (events_gone, bytes_gone, dropped),
        )
        self.frames += 2

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors, a full disk among them.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _pages(self) -> int:
        pages: int = self._connection.execute("PRAGMA page_count").fetchone()[0]
        return pages
