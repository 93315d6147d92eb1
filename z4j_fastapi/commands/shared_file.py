"""SharedFile: a small SQLite database in an identity's directory that all processes of the identity use.

Private to its user. Deleted, replaced or damaged while it is open, it is started anew; a forked child never
uses its parent's connection.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from z4j_fastapi.buffer import forks
from z4j_fastapi.buffer.rlock import SignalSafeRLock, release
from z4j_fastapi.buffer.slots import set_aside
from z4j_probes.errors import StorageError
from z4j_probes.storage import storage_error
from z4j_probes.storage.database import create_private
from z4j_probes.storage.faults import CORRUPT, LOCKED

# Other processes hold the lock for one small transaction each.
BUSY_S = 5.0
# How long the end of a process may wait for a call that is going on.
CLOSE_BUDGET_S = 4.0


class SharedFile:
    """Opened when it is first needed. `schema` is run each time, so it says IF NOT EXISTS.

    Any thread may call; one transaction runs at a time. Every method may block on the disk.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._lock = SignalSafeRLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._disowned = False

    def close(self, budget_s: float = CLOSE_BUDGET_S) -> bool:
        """Close the file; what is called later opens it again. False where a call takes longer than that."""
        if not self._lock.acquire(timeout=budget_s):
            return False
        try:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            forks.unwatch(self)
        finally:
            self._lock.release()
        return True

    def hold(self, seconds: float) -> None:
        """This process forks: see `buffer.forks`."""
        self._lock.acquire(timeout=seconds)

    def resume(self) -> None:
        """It has forked."""
        release(self._lock)

    def disown(self) -> object:
        """In the child: it never uses this connection, nor closes it."""
        connection, self._connection, self._disowned = self._connection, None, True
        self._lock = SignalSafeRLock()  # the old one may belong to a thread that is not in the child
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Committed at its end, rolled back where that is an exception. Raises StorageError."""
        with self._lock:
            try:
                db = self._opened()
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except sqlite3.Error as exc:
                self.close()
                failed = storage_error(exc, f"{self._path} can't be written")
                if failed.code == CORRUPT:
                    with contextlib.suppress(StorageError):  # the next call starts a new one, or says why not
                        set_aside(self._path)
                raise failed from exc

    def _opened(self) -> sqlite3.Connection:
        if self._disowned:
            raise StorageError(LOCKED, f"this process was forked from the one that opened {self._path.name}")
        if self._connection is not None and self._inode == _inode(self._path):
            return self._connection
        self.close()  # deleted or replaced while it was open: what is written there is lost
        forks.watch(self)
        try:
            connection = self._open()
        except StorageError as exc:
            if exc.code != CORRUPT:
                raise
            set_aside(self._path)
            connection = self._open()
        self._connection, self._inode = connection, _inode(self._path)
        return connection

    def _open(self) -> sqlite3.Connection:
        create_private(self._path)
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            _have_a_log(connection)
            # What a power cut takes back could be done twice.
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(self._schema)
        except sqlite3.Error as exc:
            connection.close()
            raise storage_error(exc, f"{self._path} can't be used") from exc
        return connection


def _have_a_log(connection: sqlite3.Connection) -> None:
    """Have a write-ahead log; without shared memory SQLite stays with its rollback journal, which is as safe.

    Where two begin it at once, SQLite refuses one of them without waiting.
    """
    deadline_s = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
        time.sleep(0.01)


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return -1
