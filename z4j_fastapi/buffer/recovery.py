"""Recovery: what a store does about a disk that has failed, and about files that are damaged or lost.

A file that turns out to be corrupt is set aside, one that was deleted or exchanged is left, and a new one
begun, with what is still known.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Collection
from pathlib import Path

from z4j_fastapi.buffer import forks, slots
from z4j_fastapi.buffer.database import Database, open_log
from z4j_fastapi.buffer.disk_fault import DiskFault
from z4j_fastapi.buffer.event_log import CHUNK, EventLog, Row, utf8_size
from z4j_fastapi.buffer.intake import MEMORY_BYTES, MEMORY_EVENTS, Intake
from z4j_fastapi.buffer.mover import Mover
from z4j_fastapi.buffer.store_locks import StoreLocks
from z4j_fastapi.buffer.tail import Entry
from z4j_probes.errors import StorageError
from z4j_probes.storage import free_space
from z4j_probes.storage.faults import CORRUPT, DISK_FULL, UNWRITABLE

# A disk that was full is used again when it has so much room.
ROOM_BYTES = 256 * 1024
# How often an agent without a file looks whether it can have one by now.
FIND_SLOT_EVERY_S = 5.0


class Recovery:
    """In the housekeeper's thread. `find_slot`, which raises StorageError, is for a store that has none."""

    def __init__(
        self,
        locks: StoreLocks,
        fault: DiskFault,
        database: Database,
        intake: Intake,
        mover: Mover,
        find_slot: Callable[[], slots.Slot] | None,
    ) -> None:
        self._locks = locks
        self._fault = fault
        self._database = database
        self._intake = intake
        self._mover = mover
        self._find_slot = find_slot
        self._looked_s = time.monotonic()
        self._left: EventLog | None = None  # what was given up, and not closed yet

    @property
    def is_looking(self) -> bool:
        """Whether there is no file yet, and may be one later."""
        return bool(self._find_slot and not self._database.slot)

    def notice_loss(self) -> None:
        """See whether another process has deleted, exchanged or overwritten the files."""
        log = self._database.log
        if log is None:
            return
        if log.is_gone:
            self._leave(log)
        elif log.is_overwritten:
            self._fault.code = CORRUPT
        elif any(segment.is_gone for segment in self._intake.segments) and self._intake.begin_segment():
            # what the deleted segments had is known, and written to the database
            self._mover.retire(move=True)

    def recover(self) -> None:
        """Try again what has failed."""
        database, intake = self._database, self._intake
        if database.slot is None:
            self._look_for_slot()
        if database.slot is None:
            return
        if database.log is None or self._fault.code == CORRUPT:
            self._start_anew(database.slot)
        if database.log is None or not (self._fault.code or intake.open is intake.memory):
            return
        with self._locks.disk:
            if not database.delete_again():
                return
        # a little at a time, and the room of what is moved is used again: the disk may be nearly full
        while intake.tail.oldest_settled(1):
            if not self._mover.retire(move=True, limit=CHUNK):
                return
        if not self._mover.retire(move=True) or not self._has_room(database.slot):
            return
        if intake.open is intake.memory and not intake.begin_segment():
            return
        if self._fault.code:
            self._fault.ended("events are kept on disk again")

    def _has_room(self, slot: slots.Slot) -> bool:
        """Whether a disk that was full has more than a few blocks: else it fails again at once."""
        with contextlib.suppress(StorageError):
            return self._fault.code != DISK_FULL or free_space(slot.path.parent).bytes >= ROOM_BYTES
        return False

    def _look_for_slot(self) -> None:
        now_s = time.monotonic()
        if self._find_slot is None or now_s - self._looked_s < FIND_SLOT_EVERY_S:
            return
        self._looked_s = now_s
        try:
            with forks.inside():
                slot, log = open_log(self._find_slot())
        except StorageError:  # as it was told when this agent started
            return
        self._take(slot, log)
        self._fault.code = self._fault.code or UNWRITABLE  # until a segment is open

    def _leave(self, log: EventLog) -> None:
        """The file was deleted or exchanged: go on with a new one, and with what is still known."""
        slot = self._database.slot
        with self._locks.disk:
            known: list[Row] = []
            with contextlib.suppress(sqlite3.Error):
                known = log.read_newest(MEMORY_EVENTS, MEMORY_BYTES)
            with self._locks.memory:
                before = self._intake.fall_back()
                for id_, json in known:
                    entry = Entry(json, utf8_size(json), self._intake.memory, 0)
                    self._intake.tail.add_again(id_, entry)
                self._intake.tail.sort()
            if before and before.is_file:
                before.seal()
            self._left = log
            if slot and log.is_at(slot.path):
                self._give_up(0, 0)  # only its log is gone: closing the file saves the rest
            else:
                self._give_up(log.depth - len(known), log.dropped)

    def _start_anew(self, slot: slots.Slot) -> None:
        """A new file where the old one is corrupt, and is set aside, or gone."""
        fault, intake = self._fault, self._intake
        with self._locks.disk:
            corrupt = self._database.log  # beside which the journal is sound, and goes on
            if corrupt:
                self._left = corrupt
                self._give_up(corrupt.depth, corrupt.dropped)
            try:
                slot = slots.replace(slot) if corrupt else slots.take_again(slot, *self._own_files())
                slot, log = open_log(slot)
            except StorageError as exc:
                before, fault.code = fault.code, exc.code
                if fault.code != before:
                    fault.tell(fault.code, f"{exc}: events are kept only in memory until that ends")
                return
            left, self._left = self._left, None
            if left:
                if left.is_at(slot.path):
                    saved = log.read_newest(MEMORY_EVENTS, MEMORY_BYTES)  # by closing the file
                    with self._locks.memory:
                        for id_, _ in saved:
                            intake.tail.remove(id_)
                left.close_files()
            self._take(slot, log)
        if intake.open is not intake.memory or intake.begin_segment():
            fault.code = ""
        if corrupt:
            aside = f"it is set aside as {slot.damaged_copy}"
            fault.tell(CORRUPT, f"the buffer was damaged: {aside}, with {corrupt.depth} events in it")
        else:
            fault.tell("", "the buffer file of this process was deleted or replaced; a new one is used")

    def _own_files(self) -> tuple[Collection[slots.FileId], Collection[Path]]:
        """Which file was the database, wherever it is by now, and where the journal still is."""
        segments = (*self._intake.segments, *self._mover.retired)
        journals = (segment.path for segment in segments if not segment.is_gone)
        return self._left.files if self._left else (), [path for path in journals if path]

    def _take(self, slot: slots.Slot, log: EventLog) -> None:
        with self._locks.memory:
            self._database.use(slot, log)
            self._intake.inherit()

    def _give_up(self, lost: int, dropped: int) -> None:
        self._database.give_up()
        self._mover.give_up()
        with self._locks.memory:
            self._intake.memory.dropped += lost + dropped
            self._database.count()
