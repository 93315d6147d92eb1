"""Intake: where events arrive, and are until they are in the database.

`append` writes to the journal's open segment, without a lock. What has arrived so is counted later, into the
tail, by the next one that looks. While no segment can be written, a segment that stands for memory is open.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import os
from collections import deque
from collections.abc import Iterable

from z4j_fastapi.buffer import journal
from z4j_fastapi.buffer.database import Database
from z4j_fastapi.buffer.disk_fault import DiskFault
from z4j_fastapi.buffer.event_log import utf8_size
from z4j_fastapi.buffer.journal import Segment
from z4j_fastapi.buffer.store_locks import StoreLocks
from z4j_fastapi.buffer.tail import Entry, Tail
from z4j_probes.portable import disk

# While there is no disk: ten seconds of a very busy service, and no more than its memory can bear.
MEMORY_EVENTS = 10_000
MEMORY_BYTES = 16 * 1024 * 1024
# What waits in memory, written to the journal, while the disk is too slow to move it to the database.
TAIL_BYTES = 64 * 1024 * 1024

# A segment above this is sealed: small enough to be moved in one go, large enough to be a rare thing.
SEGMENT_BYTES = 1024 * 1024
# Events that are written and not counted yet; above this `append` itself counts them.
MAX_ARRIVALS = 4096
# Of so many events one looks how many there are: it takes longer than writing one.
LOOK_EVERY = 8


class Intake:
    """`max_events` and `max_bytes` bound what is here and in `database` together.

    What says so is called with `locks.memory` held.
    """

    def __init__(
        self, locks: StoreLocks, fault: DiskFault, database: Database, max_events: int, max_bytes: int
    ) -> None:
        self._locks = locks
        self._fault = fault
        self._database = database
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.memory = Segment(None)
        """Stands for the journal while the disk fails. Its `dropped` is in no file yet."""
        self.open: Segment | None = self.memory
        """What is written to; None once this is closed."""
        self.segments: list[Segment] = []
        """The journal, oldest first, but for what is moved."""
        self.tail = Tail(min(max_events, MEMORY_EVENTS), min(max_bytes, MEMORY_BYTES))
        self.moving_through = 0
        """The newest id that is just being written to the database."""
        self.not_durable = 0
        """How many events were in memory only when they were appended."""
        self.is_pressing = False
        """Whether the housekeeper is to come at once, much to move or the bounds passed, as seen last."""
        self._next_number = 1
        self._arrivals: deque[Entry] = deque()
        self._is_draining = False

    @property
    def is_on_disk(self) -> bool:
        """Whether the next event is written to a file."""
        segment = self.open
        return segment is not None and segment.is_file

    @property
    def is_segment_long(self) -> bool:
        """Whether the open segment is to be sealed, whatever else there is to do."""
        segment = self.open
        return segment is not None and segment.size > SEGMENT_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether all that has arrived is in the database, or gone."""
        return not (self._arrivals or self.tail.depth)

    @property
    def dropped(self) -> int:
        """How many events were dropped that the database does not count yet."""
        return self.memory.dropped + sum(segment.dropped for segment in self.segments)

    def append(self, json: str, payload: builtins.bytes) -> bool | None:
        """Add one event, newer than all others: `json`, and the same as UTF-8.

        True once it is in a file, False if it is in memory only, None if this is closed. Over the bounds the
        oldest go, and are counted, as soon as it is looked. Needs no lock: a signal handler or a destructor
        may call it in the middle of anything.
        """
        is_written: bool | None = None
        writer = object()
        while is_written is None and (segment := self.open) is not None:
            try:
                number = segment.enter(writer)
                if number is None:
                    continue
                # first, so that what interrupts this can't leave it in the file and unknown
                self._arrivals.append(Entry(json, len(payload), segment, number))
                try:
                    is_written = segment.write_event(number, payload)
                except OSError as exc:
                    is_written = False
                    self._failed(segment, exc)
            finally:
                segment.leave(writer)
            if number % LOOK_EVERY == 0:
                self._look()
        return is_written

    def refuse(self, events: int = 1) -> None:
        """Count events that can't be kept at all."""
        with self._locks.memory:
            self._count_dropped(events)

    def drain(self) -> None:
        """Count what has arrived, and keep to the bounds where that needs no disk.

        With `locks.memory` held.
        """
        if self._is_draining:  # a signal handler or a destructor, in the middle of it: it counts that, too
            return
        try:
            self._is_draining = True
            self._count_arrivals()
        finally:
            self._is_draining = False

    def note_gone(self, gone: Iterable[Entry]) -> None:
        """Tell the journal, so that another process does not send them again. Best effort.

        With `locks.memory` held.
        """
        if (lines := _gone_lines(gone)) and (segment := self.open):
            segment.note(lines)

    def inherit(self) -> None:
        """Begin on the database's file: with what the journal of an earlier process has.

        With `locks.memory` held.
        """
        slot, log = self._database.slot, self._database.log
        if slot is None or log is None:
            return
        self.tail.next_id = max(self.tail.next_id, log.last_id + 1)
        found = dict(journal.find(slot.path.parent, slot.number))
        self._next_number = max([log.journal_through, self._next_number - 1, *found]) + 1
        known = {segment.path for segment in self.segments}
        left = {number: path for number, path in found.items() if path not in known}
        for number in [number for number in left if number <= log.journal_through]:
            with contextlib.suppress(OSError):
                os.unlink(left[number])
            del left[number]
        for number, contents in journal.read_all(left).items():
            segment = Segment(left[number], number)
            segment.dropped = contents.dropped
            self.segments.append(segment)
            for event, json in sorted(contents.events.items()):
                self.tail.add(Entry(json, utf8_size(json), segment, event))
        self.segments.sort(key=lambda segment: segment.number)

    def begin_segment(self) -> bool:
        """Go on in a new segment, and seal the open one. False where the disk has no room for it.

        Waits for the disk, so without a lock.
        """
        slot = self._database.slot
        if slot is None:
            return False
        try:
            segment = Segment.create(slot.path.parent, slot.number, self._next_number)
        except OSError as exc:
            if isinstance(exc, FileExistsError):  # a backup, say: the next attempt takes the next number
                self._next_number += 1
            self.fall_back()
            self._fault.occurred(exc)
            return False
        self._next_number += 1
        with self._locks.memory:
            if self.open is None:
                segment.remove()
                return False
            before, self.open = self.open, segment
            self.segments.append(segment)
        if before.is_file:
            before.seal()
        with contextlib.suppress(OSError):
            before.sync()
            disk.sync_directory(slot.path.parent)
        return True

    def fall_back(self) -> Segment | None:
        """Go on in memory; what was written to until now."""
        with self._locks.memory:
            before, self.open = self.open, self.memory if self.open else None
        return before

    def close(self) -> None:
        """Take nothing any more, and wait for those that are writing."""
        with self._locks.memory:
            before, self.open = self.open, None
        if before:
            before.seal()

    def disown(self) -> None:
        """In a child process: take nothing from now on."""
        self._is_draining = False
        self.open = None

    def _failed(self, segment: Segment, exc: OSError) -> None:
        with self._locks.memory:
            self.not_durable += 1
            if self.open is segment:
                self.open = self.memory
            self._fault.occurred(exc)

    def _look(self) -> None:
        """Whether the housekeeper is to come at once. Where even that is too late, count what has arrived."""
        segment = self.open
        arrived = len(self._arrivals)
        if arrived > MAX_ARRIVALS:
            with self._locks.memory:
                self.drain()
        self.is_pressing = segment is not None and (
            segment.size > SEGMENT_BYTES
            or arrived > MAX_ARRIVALS // 2
            or self._database.depth + self.tail.depth + arrived > self._max_events
            or self._database.bytes + self.tail.bytes > self._max_bytes
        )

    def _count_arrivals(self) -> None:
        dropped = 0
        while self._arrivals:
            entry = self._arrivals[0]
            if entry is not self.tail.newest:  # it is, where a signal handler raised right here the last time
                is_memory = not entry.segment.is_file
                dropped += self.tail.add(entry)
                self.not_durable += is_memory
            self._arrivals.popleft()
        gone: list[Entry] = []
        while self._is_tail_too_much() and (oldest := self.tail.remove_oldest(self.moving_through)):
            if self.moving_through:  # all up to this one are gone or on their way to the database
                self.moving_through = oldest[0]
            gone.append(oldest[1])
        if dropped or gone:
            self._count_dropped(dropped + len(gone), gone)

    def _is_tail_too_much(self) -> bool:
        return self.tail.bytes > TAIL_BYTES or (
            not self._database.depth
            and (self.tail.depth > self._max_events or self.tail.bytes > self._max_bytes)
        )

    def _count_dropped(self, events: int, gone: Iterable[Entry] = ()) -> None:
        segment = self.open
        lines = _gone_lines(gone) + journal.dropped_line(events)
        if segment is not None and segment.is_file and segment.note(lines):
            segment.dropped += events
        else:
            self.memory.dropped += events


def _gone_lines(gone: Iterable[Entry]) -> bytes:
    in_files = sorted((e.segment.number, e.number) for e in gone if e.segment.is_file)
    return b"".join(
        journal.gone_line(number, [event for _, event in group])
        for number, group in itertools.groupby(in_files, key=lambda pair: pair[0])
    )
