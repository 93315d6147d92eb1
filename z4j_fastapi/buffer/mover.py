"""Mover: from the journal to the database, and what it takes until a segment of the journal may go."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

from z4j_fastapi.buffer.breath import in_bites
from z4j_fastapi.buffer.database import Database
from z4j_fastapi.buffer.disk_fault import DiskFault
from z4j_fastapi.buffer.intake import Intake
from z4j_fastapi.buffer.journal import Segment
from z4j_fastapi.buffer.store_locks import StoreLocks
from z4j_fastapi.buffer.tail import Entry


class Mover:
    """Moves in one thread; `is_urgent` says whether it has no time to pause for other threads."""

    def __init__(
        self,
        locks: StoreLocks,
        fault: DiskFault,
        database: Database,
        intake: Intake,
        is_urgent: Callable[[], bool],
    ) -> None:
        self._locks = locks
        self._fault = fault
        self._database = database
        self._intake = intake
        self._is_urgent = is_urgent
        self.retired: list[Segment] = []
        """Those whose events are moved and not durable yet, oldest first."""

    def retire(self, *, move: bool, limit: int | None = None, gently: bool = False) -> bool:
        """Move the events of sealed segments to the database, and be done with those segments.

        Without `move`, only those that have nothing left in them; with `limit`, the oldest so many events;
        `gently`, with moments for other threads in between. False where the database fails.
        """
        intake, database = self._intake, self._database
        log = database.log
        if log is None:
            return False
        for segment in intake.segments:
            if segment is not intake.open and not segment.is_sealed:  # the disk failed while it was open
                segment.seal()
        with self._locks.disk:
            with self._locks.memory:
                intake.drain()
                rows = intake.tail.oldest_settled(limit) if move else []
                done = self._done_after(rows)
                memory_dropped = intake.memory.dropped
                dropped = memory_dropped + sum(segment.dropped for segment in done)
                if rows:
                    database.through = max(database.through, rows[-1][0])
                    intake.moving_through = rows[-1][0]
            try:
                if rows or dropped:
                    through = done[-1].number if done else 0
                    plain = ((id_, entry.json) for id_, entry in self._paced(rows, gently=gently))
                    log.move_in(plain, journal_through=through, dropped=dropped)
            except sqlite3.Error as exc:
                intake.moving_through = 0
                database.free_room(exc)
                return False
            with self._locks.memory:
                intake.moving_through = 0
                moved = [intake.tail.remove(id_) for id_, _ in rows]
                database.count()
                intake.memory.dropped -= memory_dropped
                intake.segments = [segment for segment in intake.segments if segment not in done]
                intake.note_gone(entry for entry in moved if entry and entry.segment not in done)
        if rows or dropped or self.retired:
            self.retired += done  # until what was moved is durable
        else:
            for segment in done:
                segment.remove()
        return True

    def sync(self) -> None:
        """Make all of it survive a power cut, and remove the segments that are then done with."""
        try:
            if self._intake.open:
                self._intake.open.sync()
            self._database.sync()
        except OSError as exc:
            self._fault.occurred(exc)
            return
        while self.retired:
            self.retired.pop(0).remove()  # the oldest first: the newer ones say what of it is gone

    def give_up(self) -> None:
        """The database is lost: what was moved there is in the journal again."""
        for segment in self.retired:
            segment.close()
        self.retired.clear()

    def _paced(self, rows: list[tuple[int, Entry]], *, gently: bool) -> Iterable[tuple[int, Entry]]:
        return in_bites(rows, self._is_urgent) if gently else rows

    def _done_after(self, rows: list[tuple[int, Entry]]) -> list[Segment]:
        """The oldest segments of which nothing is wanted any more once `rows` are moved."""
        left = Counter(entry.segment for _, entry in rows)
        done = []
        for segment in self._intake.segments:
            if not segment.is_sealed or self._intake.tail.events_in(segment) > left[segment]:
                break
            done.append(segment)
        return done
