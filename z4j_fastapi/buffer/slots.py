"""Slots: the lowest-numbered buffer file that this process can lock is its place among its siblings.

`<state>/<identity>/buffer-<n>.sqlite`, locked by SQLite itself for as long as it is open. No two live
processes share a slot, a process that was killed leaves its slot to the next one, and the number is the
stable part of the worker's id. A file that is no database is set aside, never deleted. One of a newer version
of this package is left as it is: that version may run beside, or come back after a rollback.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from z4j_fastapi.buffer import forks, journal
from z4j_fastapi.log import log
from z4j_probes.errors import StorageError
from z4j_probes.portable import files, flags, locks
from z4j_probes.storage import open_database, private_directory, storage_error
from z4j_probes.storage.faults import CORRUPT, LOCKED

# Far above the 64 workers that a brain takes for one agent: who comes here has a loop that starts processes.
MAX_SLOTS = 1024

# Of the tables in a buffer file. What a later version adds beside them is nothing to this one.
SCHEMA_VERSION = 1

# Taking a slot takes milliseconds. Where the lock has not changed hands for this long, its holder is
# stopped or on a broken network file system, and a slot out of order is better than no buffer.
TAKING_BUDGET_S = 2.0
# Many processes that wait would keep each other from the processor.
_RETRY_S, _RETRY_MAX_S = 0.005, 0.05

# Device and inode: which file it is, whatever its name.
FileId = tuple[int, int]

_told_newer = set[Path]()
_FILE_NAME = re.compile(r"buffer-(\d{1,4})\.sqlite")


@dataclass(frozen=True, slots=True)
class Slot:
    """A buffer file that this process has locked; `damaged_copy` is where a corrupt one went, if any."""

    number: int
    path: Path
    connection: sqlite3.Connection
    damaged_copy: Path | None = None


def file_id(found: os.stat_result) -> FileId:
    """Which file that is."""
    return found.st_dev, found.st_ino


def random_number() -> int:
    """A slot number for an agent without files: no file has it, and hardly another agent."""
    return MAX_SLOTS + secrets.randbelow(2**31 - MAX_SLOTS)


def take_lowest(directory: Path) -> Slot:
    """The lowest slot in `directory` that no live process has. Raises StorageError where none can be had."""
    with _one_at_a_time(directory):
        return _take_first(directory, range(MAX_SLOTS))


def take_unused(directory: Path) -> Slot:
    """The lowest slot in `directory` without a file, for a process that has events in memory already.

    The ids of what an earlier process has left would be among its own. It adopts them instead.
    """
    with _one_at_a_time(directory):
        return _take_first(directory, _unused(directory))


def take_again(slot: Slot, own_files: Collection[FileId], own_journals: Collection[Path]) -> Slot:
    """The same slot, whose file was deleted or exchanged, perhaps with its directory.

    Where another process has that by now, a slot without a file. A file that was put in its place goes to a
    free slot, with its journal, where its events are adopted. `own_files` are the slot's own database and
    log, wherever they are by now; `own_journals` is what is still there of its own journal.
    """
    directory = private_directory(slot.path.parent.parent, slot.path.parent.name)
    with _one_at_a_time(directory):
        _make_way(slot, own_files, own_journals)
        slot.connection.close()
        return _take_first(directory, itertools.chain([slot.number], _unused(directory)))


def _make_way(slot: Slot, own_files: Collection[FileId], own_journals: Collection[Path]) -> None:
    """Give what was put in the place of the slot's own file another number, where nothing has it open.

    Before the slot's connection is closed: that deletes the log by its name.
    """
    directory, wal = slot.path.parent, Path(f"{slot.path}-wal")
    try:
        if file_id(os.lstat(slot.path)) in own_files:
            return
        with contextlib.suppress(FileNotFoundError):
            if file_id(os.lstat(wal)) in own_files:
                os.unlink(wal)  # of the old file: it must not be replayed into another one
        _open(slot.path).close()  # which moves its own log into it
        free = next(_unused(directory))
        os.rename(slot.path, _path(directory, free))
        for number, path in journal.find(directory, slot.number):
            if path not in own_journals:
                os.rename(path, journal.path_of(directory, free, number))
    except (OSError, StorageError, StopIteration):  # nothing is there, or another process has it
        return


def _take_first(directory: Path, numbers: Iterable[int]) -> Slot:
    locked: set[FileId] = set()
    for number in numbers:
        # SQLite takes a quarter of a millisecond to find out, and the last of 64 tries 63
        if locked and _is_one_of(locked, _path(directory, number)):
            continue
        try:
            return take(directory, number)
        except StorageError as exc:
            if exc.code != LOCKED:
                raise
        locked = locked or locks.locked_databases()
    raise StorageError(LOCKED, f"all {MAX_SLOTS} buffer files in {directory} are taken")


def _is_one_of(ids: Collection[FileId], path: Path) -> bool:
    with contextlib.suppress(OSError):
        return file_id(os.lstat(path)) in ids
    return False


def _path(directory: Path, number: int) -> Path:
    return directory / f"buffer-{number}.sqlite"


def take(directory: Path, number: int) -> Slot:
    """Slot `number`, with a new file if the one that is there is no database."""
    path = _path(directory, number)
    try:
        return Slot(number, path, _open(path))
    except StorageError as exc:
        if exc.code != CORRUPT:
            raise
    moved_to = set_aside(path)
    return Slot(number, path, open_database(path), moved_to)


def _open(path: Path) -> sqlite3.Connection:
    """Open a buffer file; one of a newer version counts as taken."""
    connection = open_database(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as exc:
        connection.close()
        raise storage_error(exc, f"{path} can't be used") from exc
    if version in (0, SCHEMA_VERSION):
        return connection
    connection.close()
    if path not in _told_newer:
        _told_newer.add(path)
        log.warning("%s is left as it is: it is of a newer version, which delivers what is in it", path)
    raise StorageError(LOCKED, f"{path} is of a newer version")


def replace(slot: Slot) -> Slot:
    """The same slot with a new file, where what is in the old one turned out to be corrupt."""
    with _one_at_a_time(slot.path.parent):
        # Closing deletes `<path>-wal` by its name: no process may have put a new one there by then.
        if not files.RENAMES_OPEN_FILES:
            slot.connection.close()
        try:
            moved_to = set_aside(slot.path)
        finally:
            slot.connection.close()
        return Slot(slot.number, slot.path, open_database(slot.path), moved_to)


def set_aside(path: Path) -> Path:
    """Move a corrupt database and its write-ahead log out of the way, to names that SQLite can still open."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    moved_to = path.with_name(f"{path.name}.corrupt-{stamp}")
    try:
        os.rename(path, moved_to)
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}-wal", f"{moved_to}-wal")
    except OSError as exc:
        raise storage_error(exc, f"{path} is corrupt and can't be set aside") from exc
    return moved_to


def abandoned(directory: Path, own: int | None) -> Iterator[Slot]:
    """Slots with something in them that no live process has, each locked until the caller closes it.

    Files without an event are not locked: a process that starts at this moment would find its slot taken.
    A corrupt one is left to the process that starts on it.
    """
    in_journals, locked = journal.slots_with_events(directory), locks.locked_databases()
    for number in sorted({*_numbers(directory), *in_journals}):
        path = _path(directory, number)
        if number == own or _is_one_of(locked, path):
            continue
        try:
            with forks.inside():
                if not (number in in_journals or _may_hold_events(path)):
                    continue
            with _one_at_a_time(directory), forks.inside():
                slot = Slot(number, path, _open(path))
        except StorageError:
            continue
        yield slot


def _numbers(directory: Path) -> list[int]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(int(found[1]) for name in names if (found := _FILE_NAME.fullmatch(name)))


def _unused(directory: Path) -> Iterator[int]:
    """The numbers of which no process has left anything, lowest first."""
    taken = {*_numbers(directory), *journal.slots_with_events(directory)}
    return (number for number in range(MAX_SLOTS) if number not in taken)


def _may_hold_events(path: Path) -> bool:
    """Whether a lock is worth taking: there is a log, as a process leaves it that was killed, or an event."""
    with contextlib.suppress(OSError):
        if os.stat(f"{path}-wal").st_size > 0:
            return True
    # Without a log the file has it all. "immutable" reads it without a lock that could refuse it,
    # and without a log of its own (https://sqlite.org/uri.html); a process that begins to write has a log.
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as file:
            return bool(file.execute("SELECT EXISTS (SELECT 1 FROM event)").fetchone()[0])
    except sqlite3.Error:  # an empty file, a damaged one, or one that has just gone
        return False


@contextlib.contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep processes that start at once from refusing each other the same slot.

    Two that both hold SQLite's shared lock can't get the exclusive one, and both would move on. Where
    files can't be locked, that is what happens: a gap in the numbers, no harm else.
    """
    try:
        how = flags.READ_WRITE | os.O_CREAT | flags.NOFOLLOW
        descriptor = files.open_shared(directory / "slots.lock", how)
    except OSError:  # a full disk; the buffer's own file will say so
        yield
        return
    try:
        if _wait_for(descriptor):
            with contextlib.suppress(OSError):  # a full disk
                os.write(descriptor, b".")  # its time of modification shows that the lock has changed hands
        yield
    finally:
        locks.release(descriptor)


def _wait_for(descriptor: int) -> bool:
    """Take the lock; False where it does not change hands any more."""
    retry_s, changed_at, deadline_s = _RETRY_S, 0, 0.0
    while not locks.try_lock(descriptor):
        now_s, before, changed_at = time.monotonic(), changed_at, os.fstat(descriptor).st_mtime_ns
        if changed_at != before:
            deadline_s = now_s + TAKING_BUDGET_S
        if now_s > deadline_s:
            return False
        time.sleep(random.uniform(0.5, 1.0) * retry_s)  # noqa: S311 - to spread those who wait
        retry_s = min(2 * retry_s, _RETRY_MAX_S)
    return True
