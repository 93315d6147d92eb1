"""What was begun, and what came of it: on disk, so that a command is acted on at most once.

`<state>/<identity>/commands.sqlite`, shared by all processes of the identity. An intent is on the disk before
its command is acted on, and the outcome before it is answered, so a command that is delivered again is
answered from here, by whichever process gets it, and after a `kill -9` too. It holds ids and answers, never
arguments.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from z4j_fastapi.buffer import forks
from z4j_fastapi.buffer.slots import set_aside
from z4j_fastapi.commands.outcome import Outcome, Verdict
from z4j_probes.errors import StorageError
from z4j_probes.storage import storage_error
from z4j_probes.storage.database import create_private
from z4j_probes.storage.faults import CORRUPT, LOCKED

FILE_NAME = "commands.sqlite"
# A brain sends nothing again after an hour at most; a day is for clocks that are set.
KEPT_S = 24 * 3600.0
KEPT_IDS = 10_000
# Other processes hold the lock for one small transaction each.
BUSY_S = 5.0
# How long the end of a process may wait for a call that is going on.
CLOSE_BUDGET_S = 4.0
# Counting rows is not free; some more of them are.
_PRUNE_EVERY = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY,
    fire_id TEXT UNIQUE,
    begun_at REAL NOT NULL,
    verdict TEXT,
    result TEXT,
    error TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commands_begun_at ON commands (begun_at);
"""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A command that was begun before. `outcome` is None where none was written: it runs, or was cut off."""

    id: str
    begun_at: datetime
    outcome: Outcome | None


class CommandMemory:
    """Opened when it is first needed. Every method may block on the disk, and raises StorageError.

    Any thread may call; one call runs at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._begun = 0
        self._disowned = False
        self._is_held = False

    def begin(self, command_id: str, fire_id: str | None) -> Remembered | None:
        """Write down that this command is about to be acted on.

        What is remembered where it is known already.
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT id, begun_at, verdict, result, error FROM commands WHERE id = ? OR fire_id = ?",
                (command_id, fire_id),
            ).fetchone()
            if row is not None:
                return _remembered(row)
            self._begun += 1
            if self._begun % _PRUNE_EVERY == 1:
                _prune(db)
            db.execute(
                "INSERT INTO commands (id, fire_id, begun_at) VALUES (?, ?, ?)",
                (command_id, fire_id, time.time()),
            )
        return None

    def finish(self, command_id: str, outcome: Outcome) -> None:
        """Write down what came of it."""
        result = None if outcome.result is None else json.dumps(outcome.result)
        with self._transaction() as db:
            db.execute(
                "UPDATE commands SET verdict = ?, result = ?, error = ? WHERE id = ?",
                (outcome.verdict.value, result, outcome.error, command_id),
            )

    def forget(self, command_id: str) -> None:
        """Nothing was done: it may be tried again."""
        with self._transaction() as db:
            db.execute("DELETE FROM commands WHERE id = ? AND verdict IS NULL", (command_id,))

    def close(self, budget_s: float = CLOSE_BUDGET_S) -> bool:
        """Close the file; what is called later opens it again. False where a call takes longer than that."""
        if not self._lock.acquire(timeout=budget_s):
            return False
        try:
            connection, self._connection = self._connection, None
            forks.unwatch(self)
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
        finally:
            self._lock.release()
        return True

    def hold(self, seconds: float) -> None:
        """This process forks: see `buffer.forks`."""
        self._is_held = self._lock.acquire(timeout=seconds)

    def resume(self) -> None:
        """It has forked."""
        if self._is_held:
            self._lock.release()

    def disown(self) -> object:
        """In the child: it never uses this connection, nor closes it."""
        connection, self._connection, self._disowned = self._connection, None, True
        self._lock = threading.RLock()  # the old one may belong to a thread that is not in the child
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Any:
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
            raise StorageError(
                LOCKED, "this process was forked from the one that opened the memory of commands"
            )
        if self._connection is not None and self._inode == _inode(self._path):
            return self._connection
        self.close()  # deleted or replaced while it was open: what is written there is lost
        try:
            connection = _open(self._path)
        except StorageError as exc:
            if exc.code != CORRUPT:
                raise
            set_aside(self._path)
            connection = _open(self._path)
        self._connection, self._inode = connection, _inode(self._path)
        forks.watch(self)
        return connection


def _open(path: Path) -> sqlite3.Connection:
    create_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        # Where the file system has no shared memory SQLite stays with its rollback journal, which is as safe.
        connection.execute("PRAGMA journal_mode=WAL")
        # An intent that a power cut takes back could be acted on twice.
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error as exc:
        connection.close()
        raise storage_error(exc, f"{path} can't be used") from exc
    return connection


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return -1


def _prune(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM commands WHERE begun_at < ?", (time.time() - KEPT_S,))
    db.execute(
        "DELETE FROM commands WHERE begun_at < "
        "(SELECT begun_at FROM commands ORDER BY begun_at DESC LIMIT 1 OFFSET ?)",
        (KEPT_IDS - 1,),
    )


def _remembered(row: tuple[str, float, str | None, str | None, str | None]) -> Remembered:
    command_id, begun_at, verdict, result, error = row
    outcome = None
    if verdict is not None:
        outcome = Outcome(
            Verdict(verdict), result=None if result is None else json.loads(result), error=error or ""
        )
    return Remembered(command_id, datetime.fromtimestamp(begun_at, UTC), outcome)
