"""EventStore: events by rising id, in a journal first, in a database when they wait.

Events arrive in the `intake`, which writes them to a journal. What is still there a second later moves to the
`database`, by the housekeeper. Nothing that an append does waits for an fsync: those are done with
`locks.disk` at the most, which no append takes.

When the disk is full or fails, `fault` says why, and events queue in memory within bounds of their own;
`tend` tries the disk again. Never raises for the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from z4j_fastapi.buffer import slots
from z4j_fastapi.buffer.claims import Span
from z4j_fastapi.buffer.database import Database
from z4j_fastapi.buffer.disk_fault import DiskFault
from z4j_fastapi.buffer.event_log import CHECKPOINT_FRAMES, Pack, Row
from z4j_fastapi.buffer.intake import Intake
from z4j_fastapi.buffer.mover import Mover
from z4j_fastapi.buffer.recovery import Recovery
from z4j_fastapi.buffer.store_locks import StoreLocks

# Above this the tail moves at once, not when it has waited for a second.
PRESSING_BYTES = 4 * 1024 * 1024


class EventStore:
    """Thread-safe. `fault.tell` is called inside of any method.

    Without a slot it is in memory only, until `find_slot` (which raises StorageError) finds one. With
    `takes_events` false it only gives what an earlier process has left. Raises StorageError where the slot
    can't be used.
    """

    def __init__(
        self,
        slot: slots.Slot | None,
        max_events: int,
        max_bytes: int,
        find_slot: Callable[[], slots.Slot] | None = None,
        *,
        takes_events: bool = True,
    ) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.is_closing = False
        """Set where `close` is about to come: nothing pauses for other threads any more."""
        self.locks = locks = StoreLocks()
        self.fault = fault = DiskFault(lambda: self.intake.is_on_disk)
        self.database = database = Database(locks, fault, slot)
        self.intake = intake = Intake(locks, fault, database, max_events, max_bytes)
        self._mover = mover = Mover(locks, fault, database, intake, lambda: self.is_closing)
        self._recovery = Recovery(locks, fault, database, intake, mover, find_slot)
        self._waited_through = 0  # the newest id at the last look
        intake.inherit()
        if not takes_events:
            intake.close()
        elif slot:
            intake.begin_segment()

    @property
    def depth(self) -> int:
        """How many events there are."""
        with self.locks.memory:
            self.intake.drain()
            return self.database.depth + self.intake.tail.depth

    @property
    def bytes(self) -> int:
        """How many bytes of JSON they are."""
        with self.locks.memory:
            self.intake.drain()
            return self.database.bytes + self.intake.tail.bytes

    @property
    def dropped(self) -> int:
        """How many were ever lost for want of room."""
        with self.locks.memory:
            self.intake.drain()
            return self.database.dropped + self.intake.dropped

    @property
    def not_durable(self) -> int:
        """How many were in memory only when they were appended."""
        with self.locks.memory:
            self.intake.drain()
            return self.intake.not_durable

    @property
    def is_unfinished(self) -> bool:
        """Whether there is something that `tend` has to look at again."""
        return bool(self.fault.code or not self.intake.is_empty or self._recovery.is_looking)

    @property
    def is_crowded(self) -> bool:
        """True while more should not be taken in: what was has not been checkpointed."""
        log = self.database.log
        return log is not None and log.frames > CHECKPOINT_FRAMES

    @property
    def room(self) -> tuple[int, int]:
        """How many events, and bytes, find room in files so that none has to go for them."""
        if not self.intake.is_on_disk:
            return 0, 0
        return max(0, self._max_events - self.depth), max(0, self._max_bytes - self.bytes)

    def read(self, span: Span, limit: int) -> list[Row] | None:
        """The oldest events of `span`; None where the disk does not answer: what is newer has to wait."""
        with self.locks.memory:
            self.intake.drain()
            if span[0] > self.database.through:
                return self.intake.tail.read(span, limit)
        with self.locks.disk:
            self._drop_surplus()
            rows = self.database.read(span, limit)
            if rows is None:
                return None
            with self.locks.memory:
                return sorted([*rows, *self.intake.tail.read(span, limit)])[:limit]

    def delete(self, span: Span) -> None:
        """Remove the events of `span`, now or when the disk lets us."""
        with self.locks.memory:
            self.intake.drain()
            self.intake.note_gone(self.intake.tail.remove_span(span))
            if span[0] > self.database.through:
                return
        with self.locks.disk:
            self.database.delete(span)

    def pack(self, events: int, size: int) -> Pack | None:
        """The oldest events in the database, at most so many, and so many bytes if there are two.

        None where there are none, or the disk does not answer.
        """
        with self.locks.disk:
            return self.database.pack(events, size)

    def take_in(self, pack: Pack) -> bool:
        """Add another store's events, durably. False where that fails, or this is closed."""
        with self.locks.disk:
            with self.locks.memory:
                if not self.intake.is_on_disk:
                    return False
                self.intake.drain()
                first = self.intake.tail.take_ids(pack.events)
                self.database.through = max(self.database.through, first + pack.events - 1)
            return self.database.take_in(pack, first)

    def settle(self) -> bool:
        """Have everything in the database, as when it is closed. False where that fails."""
        if self._mover.retire(move=True):
            self._mover.sync()
            return not self.fault.code
        return False

    def forget_dropped(self) -> None:
        """Another store counts what was dropped here."""
        with self.locks.disk, self.locks.memory, contextlib.suppress(sqlite3.Error):
            if log := self.database.log:
                log.move_in((), dropped=-log.dropped)
                self.database.count()

    def tend(self) -> None:
        """Look after the disk: move what has waited, make it durable, try again what has failed.

        As `close`, for the housekeeper and no other thread.
        """
        intake, database = self.intake, self.database
        self._recovery.notice_loss()
        self._recovery.recover()
        with self.locks.memory:
            intake.drain()
            is_waiting = intake.tail.depth > 0 and intake.tail.first_id <= self._waited_through
            self._waited_through = intake.tail.next_id - 1
            open_, is_long = intake.open, intake.is_segment_long
            is_due = is_waiting or intake.tail.bytes > PRESSING_BYTES
        if open_ is not None and open_.has_lines and (is_long or (is_due and not self.fault.code)):
            intake.begin_segment()
        if database.log is None:
            return
        self._mover.retire(move=is_due, gently=True)
        with self.locks.disk:
            self._drop_surplus()
        if self.fault.code:
            return
        self._mover.sync()
        if database.log.frames > CHECKPOINT_FRAMES:
            with self.locks.disk:
                database.checkpoint()

    def close(self) -> None:
        """Move what is left to the database, and let go of the slot. Nothing is taken from now on."""
        intake, database = self.intake, self.database
        intake.close()
        if database.slot and (self.fault.code or database.log is None):
            self._recovery.recover()
        for _ in range(2):  # the first attempt may make the room that the second one needs
            with contextlib.suppress(OSError):
                if database.log and self._mover.retire(move=True):
                    with self.locks.disk:
                        self._drop_surplus()
                    self._mover.sync()
                    break
        with self.locks.disk, self.locks.memory:
            intake.drain()
            if lost := intake.tail.remove_memory():
                said = f"{lost} events were only in memory and are lost with this process"
                self.fault.tell(self.fault.code, said)
                intake.memory.dropped += lost
                with contextlib.suppress(sqlite3.Error):
                    if database.log:
                        database.log.move_in((), dropped=intake.memory.dropped)
                        intake.memory.dropped = 0
            for segment in intake.segments:
                segment.close()
            if database.log:
                database.count()
                database.log.close()

    def disown(self) -> None:
        """In a child process: take nothing from now on."""
        self.locks.renew()
        self.intake.disown()

    def _drop_surplus(self) -> None:
        """Keep to the bounds where the oldest events are in the database. With `locks.disk` held."""
        with self.locks.memory:
            self.intake.drain()
            events = self.database.depth + self.intake.tail.depth - self._max_events
            size = self.database.bytes + self.intake.tail.bytes - self._max_bytes
        log = self.database.log
        if log is None or not log.depth or (events <= 0 and size <= 0):
            return
        # A large buffer that is full makes room for several events at a time: a fifth of the cost.
        slack = min(log.depth // 10_000, 64)
        self.database.drop_oldest(max(events, 1) + slack, size)
        with self.locks.memory:
            self.intake.drain()
