"""Database: a store's slot and the database in it, while there is one.

Its errors become the store's fault, to be tried again. What it holds is counted where appends can see it
without waiting for the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3

from z4j_fastapi.buffer import slots
from z4j_fastapi.buffer.claims import Span
from z4j_fastapi.buffer.disk_fault import DiskFault
from z4j_fastapi.buffer.event_log import EventLog, Pack, Row
from z4j_fastapi.buffer.store_locks import StoreLocks
from z4j_probes.errors import StorageError
from z4j_probes.storage.faults import CORRUPT


class Database:
    """`slot` is None while there is no place for a file, `log` while there is no file that can be used.

    Methods that use the file are called with `locks.disk` held. Raises StorageError where `slot` can't be
    used.
    """

    def __init__(self, locks: StoreLocks, fault: DiskFault, slot: slots.Slot | None) -> None:
        self._locks = locks
        self._fault = fault
        self.slot = slot
        self.log: EventLog | None = None
        self.depth = self.bytes = self.dropped = 0
        """What is in it, and was ever dropped from it, as counted last. Changes with `locks.memory` held."""
        self.through = 0
        """The newest id that may be in it."""
        self.undeleted: list[Span] = []
        """What could not be deleted yet."""
        if slot:
            self.use(*open_log(slot))

    def use(self, slot: slots.Slot, log: EventLog) -> None:
        """Go on with this file."""
        self.slot, self.log = slot, log
        self.count()
        self.through = max(self.through, log.last_id)

    def give_up(self) -> None:
        """Go on without a file."""
        self.log = None
        self.undeleted.clear()

    def count(self) -> None:
        """See what is in it."""
        with self._locks.memory:
            log = self.log
            self.depth, self.bytes = (log.depth, log.bytes) if log else (0, 0)
            self.dropped = log.dropped if log else 0

    def read(self, span: Span, limit: int) -> list[Row] | None:
        """The oldest events of `span`; None where the disk does not answer."""
        if self.log is None:
            return []
        try:
            return self.log.read(*span, limit)
        except sqlite3.Error as exc:
            self._fault.occurred(exc)
            return None

    def pack(self, events: int, size: int) -> Pack | None:
        """The oldest events, within these bounds; None where there are none, or the disk does not answer."""
        try:
            return self.log.pack(events, size) if self.log else None
        except sqlite3.Error as exc:
            self._fault.occurred(exc)
            return None

    def take_in(self, pack: Pack, first: int) -> bool:
        """Add another file's events, durably, with ids from `first` on.

        False where that fails: they may be here, then, and survive a power cut or not.
        """
        if self.log is None:
            return False
        try:
            self.log.take_in(pack, first)
        except sqlite3.Error as exc:
            self.free_room(exc)
            return False
        except OSError as exc:
            self._fault.occurred(exc)
            return False
        finally:
            self.count()
        return True

    def delete(self, span: Span) -> None:
        """Remove the events of `span`, now or when the disk lets us."""
        if self.log is None:
            return
        try:
            self.log.delete(*span)
        except sqlite3.Error as exc:
            self.undeleted.append(span)
            self._fault.occurred(exc)
        self.count()

    def delete_again(self) -> bool:
        """Remove what could not be removed before. False where that fails."""
        while self.log and self.undeleted:
            try:
                self.log.delete(*self.undeleted[-1])
            except sqlite3.Error as exc:
                self.free_room(exc)
                return False
            self.undeleted.pop()
            self.count()
        return True

    def drop_oldest(self, events: int, size: int) -> None:
        """Remove the oldest until so many and so many bytes are gone, and count them as lost."""
        if self.log is None:
            return
        try:
            self.log.drop_oldest(events, size)
        except sqlite3.Error as exc:
            self._fault.occurred(exc)
        self.count()

    def free_room(self, exc: sqlite3.Error) -> None:
        """It has failed. Its log may be a part of what fills the disk, and moving it makes room."""
        with contextlib.suppress(sqlite3.Error):
            if self.log and self.log.frames:
                self.log.checkpoint()
        self._fault.occurred(exc)

    def checkpoint(self) -> None:
        """Move its log into it."""
        try:
            if self.log:
                self.log.checkpoint()
        except sqlite3.Error as exc:
            self._fault.occurred(exc)

    def sync(self) -> None:
        """Make it survive a power cut, without a lock. Raises OSError."""
        log = self.log
        if log:
            log.sync()


def open_log(slot: slots.Slot) -> tuple[slots.Slot, EventLog]:
    """The slot's database, a new one where it is corrupt. Raises StorageError, with the slot given up."""
    try:
        return slot, EventLog(slot.connection, slot.path)
    except StorageError as exc:
        if exc.code != CORRUPT:
            slot.connection.close()
            raise
    slot = slots.replace(slot)
    try:
        return slot, EventLog(slot.connection, slot.path)
    except StorageError:
        slot.connection.close()
        raise
