"""SQLite files in the state directory: opening one for only this process, and proving that one works."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import weakref
from pathlib import Path

from z4j_probes.errors import StorageError
from z4j_probes.portable import disk, files, flags
from z4j_probes.storage.faults import UNSAFE_DIRECTORY, UNWRITABLE, storage_error

# What SQLite may leave beside a database, after the database itself.
SIDE_FILES = ("-wal", "-shm", "-journal")

# https://sqlite.org/fileformat.html §1.3: every database begins with it; an empty file is a new one.
_MAGIC = b"SQLite format 3\0"


class _Connection(sqlite3.Connection):
    """One that can be referenced weakly."""


# Which files this process is connected to, or was while the connection has not been collected.
_connected: weakref.WeakKeyDictionary[sqlite3.Connection, tuple[int, int]] = weakref.WeakKeyDictionary()

# Enough for more than the header page and the first blocks that file systems keep in reserve.
PROOF_BYTES = 64 * 1024


def open_database(path: Path) -> sqlite3.Connection:
    """An SQLite WAL database that is locked by this connection until it is closed or the process ends.

    Exclusive locking keeps the WAL's index in this process's memory: no `-shm` file, so it works on network
    file systems too, and commits are faster. Does not wait: a lock that is taken is `buffer.locked`.
    The connection may be used from any thread, by one at a time, and is in autocommit mode.
    """
    create_private(path)
    try:
        connection = sqlite3.connect(
            path, timeout=0.0, isolation_level=None, check_same_thread=False, factory=_Connection
        )
    except sqlite3.Error as exc:
        raise storage_error(exc, f"{path} can't be opened") from exc
    try:
        _take(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        raise storage_error(exc, f"{path} can't be used") from exc
    except StorageError:
        connection.close()
        raise
    return connection


def _take(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StorageError(UNWRITABLE, f"{path} can't have a write-ahead log: its journal mode is {mode}")
    # Setting the mode need not take the lock where the file is in WAL mode already; an empty write does.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    for pragma in disk.sqlite_pragmas():
        connection.execute(pragma)
    with contextlib.suppress(OSError):  # deleted again: no one will read it
        _connected[connection] = _file_id(path)


def create_private(path: Path) -> None:
    """Make an empty file of mode 0600 if there is none: SQLite would make one that others may read.

    A file that is there is not opened: closing it again would let go of the lock that another connection
    of this very process may hold on it (fcntl(2): POSIX locks belong to the process).
    """
    try:
        os.close(os.open(path, flags.CREATE, 0o600))
    except FileExistsError as exc:
        if files.is_link(path):
            raise StorageError(UNSAFE_DIRECTORY, f"{path} is a symbolic link") from exc
    except (OSError, ValueError) as exc:
        raise storage_error(exc, f"can't create {path}") from exc


def proof(directory: Path) -> None:
    """Do in `directory` what the event buffer does there, and leave nothing behind.

    Raises StorageError with the code of what went wrong. The name is random: no agent's file is touched.
    """
    path = directory / f"probe-{os.getpid()}-{secrets.token_hex(4)}.sqlite"
    try:
        _write_plainly(path)
        _write_a_row(path)
    finally:
        for suffix in ("", *SIDE_FILES):
            with contextlib.suppress(OSError):
                os.unlink(f"{path}{suffix}")


def damaged(directory: Path) -> tuple[Path, bytes] | None:
    """A buffer in `directory` that is no SQLite database, with how it begins; None where there is none.

    Only the beginning is read, and only of files that this process has no connection to: closing a file lets
    go of the locks that the process has on it (fcntl(2)), and what is in use has proven to be sound anyhow.
    """
    try:
        connected = set(_connected.values())
        for path in sorted(directory.glob("buffer-*.sqlite")):
            if files.is_link(path) or not path.is_file() or _file_id(path) in connected:
                continue
            with path.open("rb", buffering=0) as file:
                start = file.read(len(_MAGIC))
            if start and start != _MAGIC:
                return path, start
    except OSError:  # not this user's, or just gone: the next to open it will say so
        return None
    return None


def _file_id(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def free_space(directory: Path) -> disk.Room:
    """What this user can still write there. Raises StorageError."""
    try:
        return disk.room(directory)
    except OSError as exc:
        raise storage_error(exc, f"can't read the free space of {directory}") from exc


def _write_plainly(path: Path) -> None:
    # SQLite hides the errno (a quota looks like a broken disk), so it is asked for first. The fsync is for
    # file systems that accept a write and find out later that there is no room for it.
    try:
        with open(path, "xb", buffering=0) as file:
            file.write(secrets.token_bytes(PROOF_BYTES))
            disk.sync(file.fileno())
            file.truncate(0)
    except OSError as exc:
        raise storage_error(exc, f"can't write a file in {path.parent}") from exc


def _write_a_row(path: Path) -> None:
    row = secrets.token_bytes(PROOF_BYTES)
    for write in (True, False):  # closed in between, so that it is the disk that answers
        connection = open_database(path)
        try:
            if write:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("CREATE TABLE proof (row BLOB NOT NULL)")
                connection.execute("INSERT INTO proof VALUES (?)", (row,))
            elif connection.execute("SELECT row FROM proof").fetchall() != [(row,)]:
                raise StorageError(UNWRITABLE, f"a row written in {path.parent} was read back differently")
        except sqlite3.Error as exc:
            raise storage_error(exc, f"can't write a database in {path.parent}") from exc
        finally:
            connection.close()
