"""EventLog: the events in one SQLite file, oldest first, with counters that need no scan.

Each row carries how many events and bytes the file has ever seen, itself included; one `ledger` row
carries how many have left. What is there is the difference, so opening costs the same with two million
rows as with none, and appending writes one row and nothing else.

Durability. `synchronous=NORMAL` in WAL mode: a commit is a write to the kernel without fsync, which
survives the death of the process but not a power cut. `sync` makes the log durable against that too
(the buffer calls it every second), and checkpoints fsync in the right order, so that a power cut costs the
last moments, never the file (`synchronous=OFF` could cost the file). Only `sync`, `checkpoint` and `close`
wait for an fsync: automatic checkpoints are off, and `checkpoint` writes the first frame of the restarted log
itself.

The schema's version is 1, and processes of all versions use it side by side: an added table, or column of
`ledger`, is nothing to the version that does not know it.

Not thread-safe, and raises sqlite3.Error: `database` and its callers see to both.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from z4j_fastapi.buffer.slots import SCHEMA_VERSION, FileId, file_id
from z4j_probes.errors import StorageError
from z4j_probes.portable import disk, files, flags
from z4j_probes.storage import storage_error
from z4j_probes.storage.faults import CORRUPT

# A row as it is read: its id and the event's JSON.
Row = tuple[int, str]

_PAGE_BYTES = 4096
# What a row has beside its JSON.
_ROW_BYTES = 20
# Schema, event and ledger: one page each. A file without events can't be smaller.
EMPTY_FILE_BYTES = 3 * _PAGE_BYTES

# Rows that are read, moved, or deleted in one go.
CHUNK = 500
# What a pack has at most; one event it has in any case. Each costs an fsync.
PACK_EVENTS = 2000
PACK_BYTES = 1024 * 1024
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
# A pack is made, and taken in, by one statement each: sqlite3 gives the interpreter up for the whole of it,
# and threads that emit go on. Row by row, each of them would wait for a switch interval, 5 ms.
_PACK = """
WITH oldest AS (
    SELECT id, json, sum(length(CAST(json AS BLOB))) OVER (ORDER BY id) AS size
    FROM (SELECT id, json FROM event ORDER BY id LIMIT ?)
)
SELECT min(id), max(id), count(*), max(size), json_group_array(json) FROM oldest
WHERE size <= ? OR id = (SELECT min(id) FROM oldest)
"""
_UNPACK = """
INSERT INTO event
SELECT ? + key, ? + 1 + key, ? + sum(length(CAST(value AS BLOB))) OVER (ORDER BY key), value
FROM json_each(?)
"""
# The segments of the journal up to this number are done with: what was wanted of them is in `event`.
_JOURNAL_COLUMN = "ALTER TABLE ledger ADD COLUMN journal_through INTEGER NOT NULL DEFAULT 0"

# Up to so many rows are counted when the file is opened. Version 0.1 may have left wrong counters.
_COUNTED_ROWS = 50_000


class Pack(NamedTuple):
    """The oldest events of a file, for another one: their least and greatest id, how many, and their bytes.

    `json` is an array of strings, each of which is an event.
    """

    first: int
    last: int
    events: int
    bytes: int
    json: str


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
        self._is_dirty = False
        self.last_id = 0
        self._events_seen = self._bytes_seen = 0
        self._events_gone = self._bytes_gone = self._dropped = 0
        self._newest_id = 0
        self._has_column = False
        self.journal_through = 0
        try:
            self._prepare()
            self._wal = files.open_to_sync(f"{path}-wal")
            # not closed before the connection is: see `close_files`
            self._file = files.open_shared(path, flags.READ)
            self._written = self._look()
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

    def move_in(self, rows: Iterable[Row], *, journal_through: int = 0, dropped: int = 0) -> None:
        """Add events, by rising id, and count `dropped` more as lost: all of that, or nothing.

        `journal_through` is the journal's last segment that is done with by this (0: as before).
        """
        count, events, size, last = 0, self._events_seen, self._bytes_seen, self.last_id

        def values() -> Iterator[tuple[int, int, int, str]]:
            nonlocal count, events, size, last
            for last, json in rows:
                count += 1
                events += 1
                size += utf8_size(json)
                yield last, events, size, json

        through = max(journal_through, self.journal_through)
        with self._transaction():
            self._connection.executemany(_INSERT, values())
            self._count_at_newest(last, events, size)
            self._write_ledger(self._events_gone, self._bytes_gone, self._dropped + dropped, through)
        self.frames += count + (size - self._bytes_seen) // _PAGE_BYTES
        self._has_added(last, events, size)
        self._dropped += dropped
        self.journal_through = through

    def pack(self, events: int, size: int) -> Pack | None:
        """The oldest events, at most so many, and so many bytes if there are two; None for none."""
        bounds = min(events, PACK_EVENTS), min(size, PACK_BYTES)
        found = self._connection.execute(_PACK, bounds).fetchone()
        return Pack(*found) if found[2] else None

    def take_in(self, pack: Pack, first: int) -> None:
        """Add the events of another file, durably, with ids from `first` on: all of them, or none.

        Raises OSError where they are added and may not survive a power cut.
        """
        last = first + pack.events - 1
        events, size = self._events_seen + pack.events, self._bytes_seen + pack.bytes
        with self._transaction():
            self._connection.execute(_UNPACK, (first, self._events_seen, self._bytes_seen, pack.json))
            self._count_at_newest(last, events, size)
            self._write_ledger(self._events_gone, self._bytes_gone, self._dropped, self.journal_through)
        self.frames += (pack.bytes + pack.events * _ROW_BYTES) // _PAGE_BYTES
        self._has_added(last, events, size)
        disk.sync(self._wal)  # not `sync`: another thread may be in the middle of that

    def read(self, first: int, last: int, limit: int) -> list[Row]:
        """The oldest events with ids from `first` to `last`."""
        query = "SELECT id, json FROM event WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        return self._connection.execute(query, (first, last, limit)).fetchall()

    def read_newest(self, limit: int, size: int) -> list[Row]:
        """The newest events, newest first: as many as `limit`, and no more than `size` bytes."""
        found: list[Row] = []
        query = "SELECT id, json FROM event ORDER BY id DESC LIMIT ?"
        for id_, json in self._connection.execute(query, (limit,)):
            size -= utf8_size(json)
            if size < 0:
                break
            found.append((id_, json))
        return found

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

    @property
    def files(self) -> tuple[FileId, FileId]:
        """Which files the database and its log are, wherever they are by now."""
        return file_id(os.fstat(self._file)), file_id(os.fstat(self._wal))

    def is_at(self, path: Path) -> bool:
        """Whether it is this very file that is at `path`."""
        try:
            return file_id(os.lstat(path)) == self.files[0]
        except OSError:
            return False

    @property
    def is_gone(self) -> bool:
        """Whether the file, or its log, was deleted or exchanged under this process (rm, mv, a cleaner)."""
        try:
            found = file_id(os.lstat(self._path)), file_id(os.lstat(f"{self._path}-wal"))
        except OSError:
            return True
        return found != self.files

    @property
    def is_overwritten(self) -> bool:
        """Whether something else was written over the file (cp): between checkpoints it never changes.

        A changed time of modification says no more than that it is worth a look (NFS).
        """
        found = os.fstat(self._file)
        if (found.st_size, found.st_mtime_ns) == self._written[:2]:
            return False
        before, self._written = self._written, self._look()
        return (before[0], before[2]) != (self._written[0], self._written[2])

    def sync(self) -> None:
        """Make what was written so far survive a power cut. Needs no exclusive use of this object."""
        if self._is_dirty:
            self._is_dirty = False  # first: what is written meanwhile may not be in it
            try:
                disk.sync(self._wal)
            except OSError:
                self._is_dirty = True
                raise

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database, and start it anew."""
        if self.depth == 0 and self._pages() > _SHRINK_ABOVE_PAGES:
            self._connection.execute("VACUUM")
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:  # a full disk stops it halfway
            self._written = self._look()
        self.frames = 0
        # The first write after a checkpoint fsyncs the new log's header: here, not when events move in.
        self.move_in(())

    def close(self) -> None:
        """Leave the file checkpointed, as small as it can be where it is empty, and unlocked."""
        with contextlib.suppress(sqlite3.Error):
            if self.depth == 0 and self._pages() * _PAGE_BYTES > EMPTY_FILE_BYTES:
                self._connection.execute("VACUUM")
        self._connection.close()
        self.close_files()

    def close_files(self) -> None:
        """Close what this has opened itself. The connection must be closed by then, or never be used again:
        closing any descriptor of a file gives up the locks that the process has on it (fcntl(2)).
        """
        os.close(self._wal)
        os.close(self._file)

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
                execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION or not {"event", "ledger"} <= tables:
            raise StorageError(CORRUPT, f"{self._path} is not a buffer")
        ledger = execute("SELECT events_gone, bytes_gone, dropped FROM ledger").fetchone()
        if ledger is None:
            raise StorageError(CORRUPT, f"{self._path} has lost its ledger")
        self._events_gone, self._bytes_gone, self._dropped = ledger
        self._find_newest()
        self.last_id = self._newest_id
        self._count_where_cheap()
        # A first frame now, for the reason given in `checkpoint`. On a full disk what is here is still read.
        with contextlib.suppress(sqlite3.OperationalError):
            if self._knows_journal():
                self.journal_through = execute("SELECT journal_through FROM ledger").fetchone()[0]
            self.move_in(())

    def _knows_journal(self) -> bool:
        return any(
            row[1] == "journal_through" for row in self._connection.execute("PRAGMA table_info(ledger)")
        )

    def _count_at_newest(self, last: int, events: int, size: int) -> None:
        """What the file has ever seen stands at its newest row, even where those added are older."""
        if last < self._newest_id:
            self._connection.execute(
                "UPDATE event SET events_seen = ?, bytes_seen = ? WHERE id = ?",
                (events, size, self._newest_id),
            )

    def _has_added(self, last: int, events: int, size: int) -> None:
        if events > self._events_seen:
            self._newest_id = max(self._newest_id, last)
            self.last_id = max(self.last_id, last)
        self._events_seen, self._bytes_seen = events, size

    def _look(self) -> tuple[int, int, int]:
        """How large the file is, when it was written, and a checksum of its first page."""
        found = os.fstat(self._file)
        return found.st_size, found.st_mtime_ns, zlib.crc32(files.read_at(self._file, _PAGE_BYTES, 0))

    def _find_newest(self) -> None:
        query = "SELECT id, events_seen, bytes_seen FROM event ORDER BY id DESC LIMIT 1"
        newest = self._connection.execute(query).fetchone()
        self._newest_id, self._events_seen, self._bytes_seen = newest or (
            0,
            self._events_gone,
            self._bytes_gone,
        )

    def _count_where_cheap(self) -> None:
        """Correct counters of version 0.1, which did not notice when the newest events left first."""
        first = self._connection.execute("SELECT min(id) FROM event").fetchone()[0]
        if first is None or self._newest_id - first >= _COUNTED_ROWS:
            return
        query = "SELECT count(*), total(length(CAST(json AS BLOB))) FROM event"
        events, size = self._connection.execute(query).fetchone()
        self._events_gone, self._bytes_gone = self._events_seen - events, self._bytes_seen - int(size)

    def _remove(self, first: int, last: int, dropped: int) -> None:
        execute = self._connection.execute
        where = "FROM event WHERE id BETWEEN ? AND ?"
        events, size = execute(
            f"SELECT count(*), total(length(CAST(json AS BLOB))) {where}",
            (first, last),
        ).fetchone()
        if not events:
            return
        before = self._newest_id, self._events_seen, self._bytes_seen
        events_left, bytes_left = self.depth - events, self.bytes - int(size)
        try:
            with self._transaction():
                execute(f"DELETE {where}", (first, last))
                if last >= self._newest_id:
                    # what is there is the newest row's count without those gone: it is another row now
                    self._find_newest()
                events_gone, bytes_gone = self._events_seen - events_left, self._bytes_seen - bytes_left
                self._write_ledger(events_gone, bytes_gone, self._dropped + dropped, self.journal_through)
        except BaseException:
            self._newest_id, self._events_seen, self._bytes_seen = before
            raise
        self._events_gone, self._bytes_gone = events_gone, bytes_gone
        self._dropped += dropped

    def _write_ledger(self, events_gone: int, bytes_gone: int, dropped: int, through: int) -> None:
        if not self._has_column and not self._knows_journal():  # a file of version 0.1, or a new one
            self._connection.execute(_JOURNAL_COLUMN)
        self._has_column = True
        self._connection.execute(
            "UPDATE ledger SET events_gone = ?, bytes_gone = ?, dropped = ?, journal_through = ?",
            (events_gone, bytes_gone, dropped, through),
        )
        self.frames += 2

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
            self._is_dirty = True
        except BaseException:
            self._has_column = False  # perhaps: it is looked again
            # SQLite has rolled back by itself after some errors, a full disk among them.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _pages(self) -> int:
        pages: int = self._connection.execute("PRAGMA page_count").fetchone()[0]
        return pages
