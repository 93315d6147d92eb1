"""EventStore: events in a journal first, in a database when they wait, in memory while the disk fails.

`append` writes to the journal's open segment, without a lock. What is still there a second later moves to
the database, by the housekeeper. Nothing that an `append` does waits for an fsync: those are done with
`disk_lock` at the most, which `append` never takes.

When the disk is full or fails, `fault` says why, and events queue in memory within bounds of their own;
`tend` tries the disk again. A file that turns out to be corrupt is set aside, one that was deleted or
exchanged is left, and a new one begun. Never raises for the disk.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import os
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from z4j_fastapi.buffer import forks, journal, slots
from z4j_fastapi.buffer.breath import in_bites
from z4j_fastapi.buffer.claims import END, Span
from z4j_fastapi.buffer.event_log import CHECKPOINT_FRAMES, EventLog, Row, utf8_size
from z4j_fastapi.buffer.journal import Segment
from z4j_fastapi.buffer.rlock import SignalSafeRLock
from z4j_fastapi.buffer.tail import Entry, Tail
from z4j_probes.errors import StorageError
from z4j_probes.portable import disk
from z4j_probes.storage import classify, free_space
from z4j_probes.storage.faults import CORRUPT, DISK_FULL, UNWRITABLE

# While there is no disk: ten seconds of a very busy service, and no more than its memory can bear.
MEMORY_EVENTS = 10_000
MEMORY_BYTES = 16 * 1024 * 1024
# What waits in memory, written to the journal, while the disk is too slow to move it to the database.
TAIL_BYTES = 64 * 1024 * 1024

# A segment above this is sealed: small enough to be moved in one go, large enough to be a rare thing.
SEGMENT_BYTES = 1024 * 1024
# Above this the tail moves at once, not when it has waited for a second.
PRESSING_BYTES = 4 * 1024 * 1024
# Events that are written and not counted yet; above this `append` itself counts them.
MAX_ARRIVALS = 4096

# Rows that are read, adopted or deleted in one go.
CHUNK = 500

# A disk that was full is used again when it has so much room.
ROOM_BYTES = 256 * 1024

# How often an agent without a file looks whether it can have one by now.
FIND_SLOT_EVERY_S = 5.0


# Told what has happened to the disk: a `buffer` code and a sentence. With an empty code all is well again.
Tell = Callable[[str, str], None]


class EventStore:
    """Events by rising id. Thread-safe. `tell` is called inside of any method.

    Without a slot it is in memory only, until `find_slot` (which raises StorageError) finds one. With
    `takes_events` false it only gives what an earlier process has left.
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
        self.tell: Tell = lambda code, said: None
        self.lock = SignalSafeRLock()
        """For what is in memory; held for moments, never while something waits for the disk."""
        self.disk_lock = SignalSafeRLock()
        """For the database; may be held while it waits for the disk. Taken before `lock`."""
        self.slot = slot
        self.is_closing = False
        """Set where `close` is about to come, and nothing may dawdle."""
        self.fault = ""
        self._not_durable = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._find_slot = find_slot
        self._looked_s = time.monotonic()
        self._log: EventLog | None = None
        self._left: EventLog | None = None  # what was given up, and not closed yet
        self._memory = Segment(None)
        self._open: Segment | None = self._memory
        self._segments: list[Segment] = []
        self._retired: list[Segment] = []
        self._next_number = 1
        self._arrivals: deque[Entry] = deque()
        self._counted: Entry | None = None  # of the arrivals, the last one that the tail has
        self._tail = Tail(min(max_events, MEMORY_EVENTS), min(max_bytes, MEMORY_BYTES))
        self._log_depth = self._log_bytes = self._log_dropped = 0
        self._log_through = 0  # the newest id that may be in the database
        self._log_synced = -1
        self._moving_through = 0  # the newest id that is just being written to the database
        self._is_draining = False
        self._waited_through = 0  # the newest id at the last look
        self._undeleted: list[Span] = []
        if slot:
            self.slot, self._log = _open_log(slot)
            self._enter(self.slot, self._log)
            if takes_events:
                self._begin_segment()
            else:
                self._open = None

    @property
    def depth(self) -> int:
        """How many events there are."""
        with self.lock:
            self._drain()
            return self._log_depth + self._tail.depth

    @property
    def bytes(self) -> int:
        """How many bytes of JSON they are."""
        with self.lock:
            self._drain()
            return self._log_bytes + self._tail.bytes

    @property
    def dropped(self) -> int:
        """How many were ever lost for want of room."""
        with self.lock:
            self._drain()
            return self._log_dropped + self._memory.dropped + sum(s.dropped for s in self._segments)

    @property
    def not_durable(self) -> int:
        """How many were in memory only when they were appended."""
        with self.lock:
            self._drain()
            return self._not_durable

    @property
    def is_on_disk(self) -> bool:
        """Whether the next event is written to a file."""
        segment = self._open
        return segment is not None and segment.is_file

    @property
    def is_pressing(self) -> bool:
        """True while the housekeeper is to come at once: much to move, or the bounds are passed."""
        segment = self._open
        return segment is not None and (
            segment.size > SEGMENT_BYTES
            or len(self._arrivals) > MAX_ARRIVALS // 2
            or self._log_depth + self._tail.depth + len(self._arrivals) > self._max_events
            or self._log_bytes + self._tail.bytes > self._max_bytes
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether there is something that `tend` has to look at again."""
        return bool(self.fault or self._arrivals or self._tail.depth or (self._find_slot and not self.slot))

    def append(self, json: str, payload: builtins.bytes) -> bool | None:
        """Add one event, newer than all others: `json`, and the same as UTF-8.

        True once it is in a file, False if it is in memory only, None if this is closed. Over the bounds the
        oldest go, and are counted, as soon as it is looked. Needs no lock: a signal handler or a destructor
        may call it in the middle of anything.
        """
        is_written: bool | None = None
        writer = object()
        while (segment := self._open) is not None and is_written is None:
            try:
                number = segment.enter(writer)
                if number is None:
                    continue
                # first, so that what interrupts this can't leave it in the file and unknown
                self._arrivals.append(Entry(json, len(payload), segment, number))
                is_written = self._write(segment, number, payload)
            finally:
                segment.leave(writer)
        if len(self._arrivals) > MAX_ARRIVALS:
            with self.lock:
                self._drain()
        return is_written

    def refuse(self, events: int = 1) -> None:
        """Count events that can't be kept at all."""
        with self.lock:
            self._count_dropped(events)

    def read(self, span: Span, limit: int) -> list[Row] | None:
        """The oldest events of `span`; None where the disk does not answer: what is newer has to wait."""
        with self.lock:
            self._drain()
            if span[0] > self._log_through:
                return self._tail.read(span, limit)
        with self.disk_lock:
            self._drop_surplus()
            rows: list[Row] = []
            if self._log:
                try:
                    rows = self._log.read(*span, limit)
                except sqlite3.Error as exc:
                    self._degrade(exc)
                    return None
            with self.lock:
                return sorted([*rows, *self._tail.read(span, limit)])[:limit]

    def delete(self, span: Span) -> None:
        """Remove the events of `span`, now or when the disk lets us."""
        with self.lock:
            self._drain()
            self._note_gone(self._tail.remove_span(span))
            if span[0] > self._log_through:
                return
        with self.disk_lock:
            if self._log is None:
                return
            try:
                self._log.delete(*span)
            except sqlite3.Error as exc:
                self._undeleted.append(span)
                self._degrade(exc)
            self._look_at_log()

    def move_from(self, orphan: EventStore) -> int:
        """Move the oldest chunk of another store's events here; 0 if it has no more, or there is no room.

        Written here before they are deleted there: a process that dies in between sends them twice. So does
        one that closes this store, or whose disk fails, in the middle of a chunk.
        """
        rows = orphan.read((0, END), CHUNK)
        size = sum(utf8_size(json) for _, json in rows or ())
        if (
            not self.is_on_disk
            or rows is None
            or self.depth + len(rows) > self._max_events
            or self.bytes + size > self._max_bytes
        ):
            return 0
        for taken, (_, json) in enumerate(in_bites(rows, lambda: self.is_closing)):
            if not self.append(json, json.encode()):  # in no file, so it stays in the one that has it
                rows = rows[:taken]
                break
        if rows:
            try:
                for segment in list(self._segments):
                    segment.sync()  # they were durable there, perhaps for days
            except OSError as exc:
                self._degrade(exc)
                return 0
            orphan.delete((rows[0][0], rows[-1][0]))
        elif orphan.dropped:
            self.refuse(orphan.dropped)
            orphan.forget_dropped()
        return len(rows)

    def pour_into(self, other: EventStore) -> None:
        """Give another store the events that are in memory here, and what was counted; take none any more."""
        with self.lock:
            open_, self._open = self._open, None
        if open_:
            open_.seal()
        with self.lock:
            self._drain()
            events = [entry.json for entry in self._tail]
        written = sum(other.append(json, json.encode()) is True for json in events)
        with other.lock:
            other._not_durable += written  # they were not when they were appended
        if self._memory.dropped:
            other.refuse(self._memory.dropped)

    def settle(self) -> bool:
        """Have everything in the database, as when it is closed. False where that fails."""
        if self._retire(move=True):
            self._sync()
            return not self.fault
        return False

    def forget_dropped(self) -> None:
        """Another store counts what was dropped here."""
        with self.disk_lock, self.lock, contextlib.suppress(sqlite3.Error):
            if self._log:
                self._log.move_in((), dropped=-self._log.dropped)
                self._look_at_log()

    @property
    def is_crowded(self) -> bool:
        """True while more should not be adopted: what was is still in memory, and not moved."""
        return self._tail.bytes > 2 * PRESSING_BYTES

    # What the housekeeper does, and no other thread.

    def tend(self) -> None:
        """Look after the disk: move what has waited, make it durable, try again what has failed."""
        self._notice_loss()
        self._recover()
        with self.lock:
            self._drain()
            is_waiting = self._tail.depth > 0 and self._tail.first_id <= self._waited_through
            self._waited_through = self._tail.next_id - 1
            open_ = self._open
            is_long = open_ is not None and open_.size > SEGMENT_BYTES
            is_due = is_waiting or self._tail.bytes > PRESSING_BYTES
        if open_ is not None and open_.has_lines and (is_long or (is_due and not self.fault)):
            self._begin_segment()
        if self._log is None:
            return
        self._retire(move=is_due, gently=True)
        with self.disk_lock:
            self._drop_surplus()
        if self.fault:
            return
        self._sync()
        if self._log.frames > CHECKPOINT_FRAMES:
            self._checkpoint()

    def close(self) -> None:
        """Move what is left to the database, and let go of the slot. Nothing is taken from now on."""
        with self.lock:
            open_, self._open = self._open, None
        if open_:
            open_.seal()
        if self.slot and (self.fault or self._log is None):
            self._recover()
        for _ in range(2):  # the first attempt may make the room that the second one needs
            with contextlib.suppress(OSError):
                if self._log and self._retire(move=True):
                    with self.disk_lock:
                        self._drop_surplus()
                    self._sync()
                    break
        with self.disk_lock, self.lock:
            self._drain()
            if lost := self._tail.remove_memory():
                self.tell(self.fault, f"{lost} events were only in memory and are lost with this process")
                self._memory.dropped += lost
                with contextlib.suppress(sqlite3.Error):
                    if self._log:
                        self._log.move_in((), dropped=self._memory.dropped)
            for segment in self._segments:
                segment.close()
            if self._log:
                self._look_at_log()
                self._log.close()

    def disown(self) -> None:
        """In a child process: take nothing from now on."""
        self.lock, self.disk_lock = SignalSafeRLock(), SignalSafeRLock()
        self._is_draining = False
        self._open = None

    def _write(self, segment: Segment, number: int, payload: builtins.bytes) -> bool:
        if not segment.is_file:
            return False
        try:
            segment.write_event(number, payload)
        except OSError as exc:
            with self.lock:
                self._not_durable += 1
                if self._open is segment:
                    self._open = self._memory
                self._degrade(exc)
            return False
        return True

    def _drain(self) -> None:
        """Count what has arrived, and keep to the bounds where that needs no disk. With `lock` held."""
        if self._is_draining:  # a signal handler or a destructor, in the middle of it: it counts that, too
            return
        try:
            self._is_draining = True
            self._count_arrivals()
        finally:
            self._is_draining = False

    def _count_arrivals(self) -> None:
        dropped = 0
        while self._arrivals:
            entry = self._arrivals[0]
            if entry is not self._counted:  # it is, where a signal handler raised right here the last time
                dropped += self._tail.add(entry)
                self._counted = entry
                self._not_durable += not entry.segment.is_file
            self._arrivals.popleft()
        gone: list[Entry] = []
        while self._is_tail_too_much() and (oldest := self._tail.remove_oldest(self._moving_through)):
            if self._moving_through:  # all up to this one are gone or on their way to the database
                self._moving_through = oldest[0]
            gone.append(oldest[1])
        if dropped or gone:
            self._count_dropped(dropped + len(gone), gone)

    def _is_tail_too_much(self) -> bool:
        return self._tail.bytes > TAIL_BYTES or (
            not self._log_depth
            and (self._tail.depth > self._max_events or self._tail.bytes > self._max_bytes)
        )

    def _count_dropped(self, events: int, gone: Iterable[Entry] = ()) -> None:
        segment = self._open
        lines = _gone_lines(gone) + journal.dropped_line(events)
        if segment is not None and segment.is_file and segment.note(lines):
            segment.dropped += events
        else:
            self._memory.dropped += events

    def _note_gone(self, gone: Iterable[Entry]) -> None:
        """Tell the journal, so that another process does not send them again. Best effort."""
        if (lines := _gone_lines(gone)) and (segment := self._open):
            segment.note(lines)

    def _look_at_log(self) -> None:
        with self.lock:
            log = self._log
            self._log_depth, self._log_bytes = (log.depth, log.bytes) if log else (0, 0)
            self._log_dropped = log.dropped if log else 0

    def _enter(self, slot: slots.Slot, log: EventLog) -> None:
        """Begin on a file: with what is in it, and with what the journal of an earlier process has."""
        known = {segment.path for segment in self._segments}
        self._look_at_log()
        self._tail.next_id = max(self._tail.next_id, log.last_id + 1)
        self._log_through = max(self._log_through, log.last_id)
        found = journal.find(slot.path.parent, slot.number)
        self._next_number = max([log.journal_through, self._next_number - 1, *(n for n, _ in found)]) + 1
        left = {}
        for number, path in found:
            if path in known:
                continue
            if number <= log.journal_through:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                continue
            with contextlib.suppress(OSError):
                if contents := journal.read(path):
                    left[number] = Segment(path, number), contents
        for _, contents in left.values():
            for number, (first, last) in contents.gone:
                events = left[number][1].events if number in left else {}
                for gone in range(first, last + 1) if last - first < len(events) else list(events):
                    if first <= gone <= last:
                        events.pop(gone, None)
        for segment, contents in left.values():
            segment.dropped = contents.dropped
            self._segments.append(segment)
            for number, json in sorted(contents.events.items()):
                self._tail.add(Entry(json, utf8_size(json), segment, number))
        self._segments.sort(key=lambda segment: segment.number)

    def _begin_segment(self) -> bool:
        """Go on in a new segment, and seal the open one. False where the disk has no room for it."""
        slot = self.slot
        if slot is None:
            return False
        try:
            segment = Segment.create(slot.path.parent, slot.number, self._next_number)
        except OSError as exc:
            if isinstance(exc, FileExistsError):  # a backup, say: the next attempt takes the next number
                self._next_number += 1
            with self.lock:
                self._open = self._memory if self._open else None
            self._degrade(exc)
            return False
        self._next_number += 1
        with self.lock:
            if self._open is None:
                segment.remove()
                return False
            before, self._open = self._open, segment
            self._segments.append(segment)
        if before.is_file:
            before.seal()
        with contextlib.suppress(OSError):
            before.sync()
            disk.sync_directory(slot.path.parent)
        return True

    def _retire(self, *, move: bool, limit: int | None = None, gently: bool = False) -> bool:
        """Move the events of sealed segments to the database, and be done with those segments.

        Without `move`, only those that have nothing left in them; with `limit`, the oldest so many events;
        `gently`, with moments for other threads in between. False where the database fails.
        """
        log = self._log
        if log is None:
            return False
        for segment in self._segments:
            if segment is not self._open and not segment.is_sealed:  # the disk failed while it was open
                segment.seal()
        with self.disk_lock:
            with self.lock:
                self._drain()
                rows = self._tail.oldest_settled(limit) if move else []
                done = self._done_after(rows)
                memory_dropped = self._memory.dropped
                dropped = memory_dropped + sum(segment.dropped for segment in done)
                if rows:
                    self._log_through = max(self._log_through, rows[-1][0])
                    self._moving_through = rows[-1][0]
            try:
                if rows or dropped:
                    through = done[-1].number if done else 0
                    plain = ((id_, entry.json) for id_, entry in self._paced(rows, gently=gently))
                    log.move_in(plain, journal_through=through, dropped=dropped)
            except sqlite3.Error as exc:
                self._moving_through = 0
                self._free_room(exc)
                return False
            with self.lock:
                self._moving_through = 0
                moved = [self._tail.remove(id_) for id_, _ in rows]
                self._look_at_log()
                self._memory.dropped -= memory_dropped
                self._segments = [segment for segment in self._segments if segment not in done]
                self._note_gone(entry for entry in moved if entry and entry.segment not in done)
        if rows or dropped or self._retired:
            self._retired += done  # until what was moved is durable
        else:
            for segment in done:
                segment.remove()
        return True

    def _paced(self, rows: list[tuple[int, Entry]], *, gently: bool) -> Iterable[tuple[int, Entry]]:
        return in_bites(rows, lambda: self.is_closing) if gently else rows

    def _done_after(self, rows: list[tuple[int, Entry]]) -> list[Segment]:
        """The oldest segments of which nothing is wanted any more once `rows` are moved."""
        left = Counter(entry.segment for _, entry in rows)
        done = []
        for segment in self._segments:
            if not segment.is_sealed or self._tail.events_in(segment) > left[segment]:
                break
            done.append(segment)
        return done

    def _remove_retired(self) -> None:
        while self._retired:
            self._retired.pop(0).remove()  # the oldest first: the newer ones say what of it is gone

    def _free_room(self, exc: sqlite3.Error) -> None:
        # The database's log may be a part of what fills the disk; once it is moved its room is free.
        with self.disk_lock, contextlib.suppress(sqlite3.Error):
            if self._log and self._log.frames:
                self._log.checkpoint()
        self._degrade(exc)

    def _drop_surplus(self) -> None:
        """Keep to the bounds where the oldest events are in the database. With `disk_lock` held."""
        log = self._log
        with self.lock:
            self._drain()
            events = self._log_depth + self._tail.depth - self._max_events
            size = self._log_bytes + self._tail.bytes - self._max_bytes
        if log is None or not log.depth or (events <= 0 and size <= 0):
            return
        # A large buffer that is full makes room for several events at a time: a fifth of the cost.
        slack = min(log.depth // 10_000, 64)
        try:
            log.drop_oldest(max(events, 1) + slack, size)
        except sqlite3.Error as exc:
            self._degrade(exc)
        with self.lock:
            self._look_at_log()
            self._drain()

    def _degrade(self, exc: sqlite3.Error | OSError) -> None:
        """The disk has failed: `tend` tries it again. Of a corrupt file, that tells more."""
        before, self.fault = self.fault, classify(exc)
        if self.fault not in (before, CORRUPT):
            where = "in the journal" if self.is_on_disk else "only in memory"
            self.tell(self.fault, f"{exc}: events are kept {where} until that ends")

    def _recover(self) -> None:
        """Try again what has failed."""
        if self.slot is None:
            self._look_for_slot()
        if self.slot is None:
            return
        if self._log is None or self.fault == CORRUPT:
            self._start_anew(self.slot)
        if self._log is None or not (self.fault or self._open is self._memory):
            return
        while self._undeleted:
            try:
                with self.disk_lock:
                    self._log.delete(*self._undeleted[-1])
            except sqlite3.Error as exc:
                self._free_room(exc)
                return
            self._undeleted.pop()
            self._look_at_log()
        # a little at a time, and the room of what is moved is used again: the disk may be nearly full
        while self._tail.oldest_settled(1):
            if not self._retire(move=True, limit=CHUNK):
                return
        if not self._retire(move=True) or not self._has_room(self.slot):
            return
        if self._open is self._memory and not self._begin_segment():
            return
        if self.fault:
            self.fault = ""
            self.tell("", "events are kept on disk again")

    def _has_room(self, slot: slots.Slot) -> bool:
        """Whether a disk that was full has more than a few blocks: else it fails again at once."""
        with contextlib.suppress(StorageError):
            return self.fault != DISK_FULL or free_space(slot.path.parent) >= ROOM_BYTES
        return False

    def _look_for_slot(self) -> None:
        now_s = time.monotonic()
        if self._find_slot is None or now_s - self._looked_s < FIND_SLOT_EVERY_S:
            return
        self._looked_s = now_s
        try:
            with forks.inside():
                slot, log = _open_log(self._find_slot())
        except StorageError:  # as it was told when this agent started
            return
        self._take(slot, log)
        self.fault = self.fault or UNWRITABLE  # until a segment is open

    def _notice_loss(self) -> None:
        """See whether another process has deleted, exchanged or overwritten the files."""
        log = self._log
        if log is None:
            return
        if log.is_gone:
            self._leave(log)
        elif log.is_overwritten:
            self.fault = CORRUPT
        elif any(segment.is_gone for segment in self._segments) and self._begin_segment():
            self._retire(move=True)  # what the deleted segments had is known, and written to the database

    def _leave(self, log: EventLog) -> None:
        """The file was deleted or exchanged: go on with a new one, and with what is still known."""
        with self.disk_lock:
            known: list[Row] = []
            with contextlib.suppress(sqlite3.Error):
                known = log.read_newest(MEMORY_EVENTS, MEMORY_BYTES)
            with self.lock:
                open_, self._open = self._open, self._memory if self._open else None
                for id_, json in known:
                    self._tail.add_older(id_, Entry(json, utf8_size(json), self._memory, 0))
            if open_ and open_.is_file:
                open_.seal()
            self._left = log
            if self.slot and log.is_at(self.slot.path):
                self._give_up(0, 0)  # only its log is gone: closing the file saves the rest
            else:
                self._give_up(log.depth - len(known), log.dropped)

    def _start_anew(self, slot: slots.Slot) -> None:
        """A new file where the old one is corrupt, and is set aside, or gone."""
        with self.disk_lock:
            corrupt = self._log  # beside which the journal is sound, and goes on
            if corrupt:
                self._left = corrupt
                self._give_up(corrupt.depth, corrupt.dropped)
            try:
                slot = slots.replace(slot) if corrupt else slots.take_again(slot, *self._own_files())
                slot, log = _open_log(slot)
            except StorageError as exc:
                before, self.fault = self.fault, exc.code
                if self.fault != before:
                    self.tell(self.fault, f"{exc}: events are kept only in memory until that ends")
                return
            left, self._left = self._left, None
            if left:
                if left.is_at(slot.path):
                    with self.lock:  # what closing has saved
                        self._tail.remove_span((0, log.last_id))
                left.close_files()
            self._take(slot, log)
        if self._open is not self._memory or self._begin_segment():
            self.fault = ""
        if corrupt:
            aside = f"it is set aside as {slot.damaged_copy}"
            self.tell(CORRUPT, f"the buffer was damaged: {aside}, with {corrupt.depth} events in it")
        else:
            self.tell("", "the buffer file of this process was deleted or replaced; a new one is used")

    def _own_files(self) -> tuple[Collection[slots.FileId], Collection[Path]]:
        """Which file was the database, wherever it is by now, and where the journal still is."""
        journals = (segment.path for segment in (*self._segments, *self._retired) if not segment.is_gone)
        return self._left.files if self._left else (), [path for path in journals if path]

    def _take(self, slot: slots.Slot, log: EventLog) -> None:
        with self.lock:
            self.slot, self._log = slot, log
            self._enter(slot, log)

    def _give_up(self, lost: int, dropped: int) -> None:
        self._log = None
        self._undeleted.clear()
        for segment in self._retired:  # its events are in the journal again
            segment.close()
        self._retired.clear()
        with self.lock:
            self._memory.dropped += lost + dropped
            self._look_at_log()

    def _sync(self) -> None:
        """Make all of it survive a power cut, and remove the segments that are then done with."""
        log = self._log
        try:
            if self._open:
                self._open.sync()
            if log and log.frames != self._log_synced:
                frames = log.frames
                log.sync()
                self._log_synced = frames
        except OSError as exc:
            self._degrade(exc)
        else:
            self._remove_retired()

    def _checkpoint(self) -> None:
        with self.disk_lock:
            try:
                if self._log:
                    self._log.checkpoint()
            except sqlite3.Error as exc:
                self._degrade(exc)


def _gone_lines(gone: Iterable[Entry]) -> bytes:
    in_files = sorted((e.segment.number, e.number) for e in gone if e.segment.is_file)
    return b"".join(
        journal.gone_line(number, [event for _, event in group])
        for number, group in itertools.groupby(in_files, key=lambda pair: pair[0])
    )


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
