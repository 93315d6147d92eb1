"""EventStore: events on disk, and in memory while the disk does not take them.

When the disk is full or fails, `fault` says why, and events queue in memory within bounds of their own;
`recover` tries the disk again. A file that turns out to be corrupt is set aside, one that was deleted is
left, and a new one begun. What is in memory is always newer than what is on disk. Not thread-safe, and never
raises for the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from z4j_fastapi.buffer import slots
from z4j_fastapi.buffer.claims import END, Span
from z4j_fastapi.buffer.event_log import CHECKPOINT_FRAMES, EventLog, Row, utf8_size
from z4j_fastapi.buffer.memory_queue import MemoryQueue
from z4j_probes.errors import StorageError
from z4j_probes.storage import classify
from z4j_probes.storage.faults import CORRUPT

# While there is no disk: ten seconds of a very busy service, and no more than its memory can bear.
MEMORY_EVENTS = 10_000
MEMORY_BYTES = 16 * 1024 * 1024

# Rows that are read, moved or deleted in one go, while threads that append wait: about half a millisecond.
CHUNK = 500


# Told what has happened to the disk: a `buffer` code and a sentence. With an empty code all is well again.
Tell = Callable[[str, str], None]


class EventStore:
    """Events by rising id. Without a slot it is in memory only. `tell` is called inside of any method."""

    def __init__(
        self, slot: slots.Slot | None, max_events: int, max_bytes: int, tell: Tell = lambda code, said: None
    ) -> None:
        self.tell = tell
        self._log: EventLog | None = None
        self.slot = slot
        if slot:
            self.slot, self._log = _open_log(slot)
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._memory = MemoryQueue(min(max_events, MEMORY_EVENTS), min(max_bytes, MEMORY_BYTES))
        self._undeleted: list[Span] = []
        self._next_id = self._log.last_id + 1 if self._log else 1
        self.fault = ""

    @property
    def depth(self) -> int:
        """How many events there are."""
        return self._memory.depth + (self._log.depth if self._log else 0)

    @property
    def bytes(self) -> int:
        """How many bytes of JSON they are."""
        return self._memory.bytes + (self._log.bytes if self._log else 0)

    @property
    def dropped(self) -> int:
        """How many were ever lost for want of room."""
        return self._memory.dropped + (self._log.dropped if self._log else 0)

    @property
    def checkpoint_due(self) -> bool:
        """True once the write-ahead log is long."""
        return self._log is not None and self._log.frames > CHECKPOINT_FRAMES

    @property
    def _is_written_down(self) -> bool:
        """Whether the disk works and nothing older than the next event is still in memory."""
        return not self.fault and not self._memory.depth

    def append(self, json: str, size: int) -> None:
        """Add one event, newer than all others. Over the bounds the oldest go, and are counted."""
        id_ = self._next_id
        self._next_id += 1
        if self._log and self._is_written_down:
            try:
                self._log.append(id_, json, size)
            except sqlite3.Error as exc:
                self.degrade(exc)
            else:
                self._drop_surplus(self._log)
                return
        self._memory.append(id_, json, size)

    def refuse(self) -> None:
        """Count an event that can't be kept at all."""
        self._memory.dropped += 1

    def read(self, span: Span, limit: int) -> list[Row] | None:
        """The oldest events of `span`; None where the disk does not answer: what is newer has to wait."""
        rows: list[Row] = []
        if self._log:
            try:
                rows = self._log.read(*span, limit)
            except sqlite3.Error as exc:
                self.degrade(exc)
                return None
        if len(rows) < limit:
            rows += self._memory.read(*span, limit - len(rows))
        return rows

    def delete(self, span: Span) -> None:
        """Remove the events of `span`, now or when the disk lets us."""
        self._memory.delete(*span)
        if self._log:
            try:
                self._log.delete(*span)
            except sqlite3.Error as exc:
                self._undeleted.append(span)
                self.degrade(exc)

    def move_from(self, orphan: EventLog) -> int:
        """Move the oldest chunk of another file's events here; 0 if it has no more, or there is no room.

        Added here before they are deleted there: a process that dies in between sends them twice.
        """
        if self._log is None or not self._is_written_down:
            return 0
        try:
            rows = orphan.read(0, END, CHUNK)
            size = sum(utf8_size(json) for _, json in rows)
            if self._log.depth + len(rows) > self._max_events or self._log.bytes + size > self._max_bytes:
                return 0
            if rows:
                self._log.append_many([(self._next_id + n, json) for n, (_, json) in enumerate(rows)])
                self._next_id += len(rows)
                orphan.delete(rows[0][0], rows[-1][0])
            elif orphan.dropped:
                self._log.add_dropped(orphan.dropped)
                orphan.add_dropped(-orphan.dropped)
        except sqlite3.Error:  # of either file; what is left there is adopted another time
            return 0
        return len(rows)

    def degrade(self, exc: sqlite3.Error | OSError) -> None:
        """The disk has failed: on to memory, until `recover` finds that it works again."""
        before, self.fault = self.fault, classify(exc)
        if self.fault not in (before, CORRUPT):  # of a corrupt file `recover` tells more
            self.tell(self.fault, f"{exc}: events are kept in memory alone until that is over")

    def recover(self) -> bool:
        """Write down a chunk of what could not be written before; True when no more can be done now."""
        if self.slot is None:
            return True
        if self._log is None or self.fault == CORRUPT:
            self._start_anew(self.slot)
        if self._log is None:
            return True
        try:
            if self._undeleted:
                self._log.delete(*self._undeleted[-1])
                self._undeleted.pop()
                return False
            if rows := self._memory.read(0, END, CHUNK):
                self._log.append_many(rows)
                self._memory.delete(rows[0][0], rows[-1][0])
                return False
            if self._memory.dropped:
                self._log.add_dropped(self._memory.dropped)
                self._memory.dropped = 0
        except sqlite3.Error as exc:
            # The log may be a part of what fills the disk; once it is in the database its room is free.
            with contextlib.suppress(sqlite3.Error):
                self._log.checkpoint()
            self.degrade(exc)
        else:
            if self.fault:
                self.fault = ""
                self.tell("", "events are kept on disk again")
        return True

    @property
    def is_deleted(self) -> bool:
        """Whether somebody has deleted the file. Needs no exclusive use of this object: it may take long."""
        return self._log is not None and self._log.is_deleted

    def leave(self) -> None:
        """The file was deleted: go on with a new one, and with what is still known."""
        old = self._log
        if old is None or not self._is_written_down:
            return
        known: list[Row] = []
        with contextlib.suppress(sqlite3.Error):
            known = old.read(self._next_id - MEMORY_EVENTS, END, MEMORY_EVENTS)
        for id_, json in known:
            self._memory.append(id_, json, utf8_size(json))
        # where its log alone is gone, closing it saves the rest
        self._give_up(old, 0 if self.slot and self.slot.path.exists() else old.depth - len(known))

    def sync(self) -> None:
        """Make all of it survive a power cut. May run while another thread appends; raises OSError."""
        if self._log:
            self._log.sync()

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database; for the thread that may wait for the disk."""
        if self._log:
            try:
                self._log.checkpoint()
            except sqlite3.Error as exc:
                self.degrade(exc)

    def close(self) -> None:
        """Write down what can be, and let go of the slot."""
        for _ in range(2):  # the first attempt may make the room that the second one needs
            while not self.recover():
                pass
        if lost := self._memory.depth:
            self._memory.dropped += lost
            self._memory.delete(0, END)
            self.tell(self.fault, f"{lost} events were in memory alone, and end with this process")
        if self._log:
            self._log.close()

    def _drop_surplus(self, log: EventLog) -> None:
        events, size = log.depth - self._max_events, log.bytes - self._max_bytes
        if events > 0 or size > 0:
            # A large buffer that is full makes room for several events at a time: a fifth of the cost.
            slack = min(log.depth // 10_000, 64)
            try:
                log.drop_oldest(max(events, 1) + slack, size)
            except sqlite3.Error as exc:
                self.degrade(exc)

    def _start_anew(self, slot: slots.Slot) -> None:
        """A new file where the old one is corrupt, and is set aside, or gone."""
        corrupt = self._log
        if corrupt:
            self._give_up(corrupt, corrupt.depth)
        try:
            slot = slots.replace(slot) if corrupt else slots.take_again(slot)
            self.slot, self._log = _open_log(slot)
        except StorageError as exc:
            before, self.fault = self.fault, exc.code
            if self.fault != before:
                self.tell(self.fault, f"{exc}: events are kept in memory alone until that is over")
            return
        self.fault = ""
        # closing the old connection may have saved what was thought to be lost
        self._memory.delete(0, self._log.last_id)
        self._next_id = max(self._next_id, self._log.last_id + 1)
        if corrupt:
            aside = f"it is set aside as {self.slot.set_aside}"
            self.tell(CORRUPT, f"the buffer was damaged: {aside}, with {corrupt.depth} events in it")
        else:
            self.tell("", "the buffer's file was deleted under this process; a new one is begun")

    def _give_up(self, log: EventLog, lost: int) -> None:
        log.forsake()
        self._log = None
        self._undeleted.clear()
        self._memory.dropped += lost


def _open_log(slot: slots.Slot) -> tuple[slots.Slot, EventLog]:
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
