"""EventBuffer: what the agent has to tell the brain, until the brain has acknowledged it.

Append from any thread; claim a batch, several may be on their way; forget it once it is acknowledged, give
it back after a lost connection, or set it aside where no brain will take it. Events survive `kill -9` from
the moment `append` returns True; a power cut may cost about the last second. Above its bounds the oldest
events go, and are counted; one that is dropped while it is on its way counts too: it may not arrive.

`append` waits for no lock and no fsync, because threads that append may run an event loop (see `intake`);
`claim`, `forget` and the others may wait for the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from z4j_fastapi.buffer import forks, slots, transfer
from z4j_fastapi.buffer.aside import SetAside
from z4j_fastapi.buffer.claims import Batch, Claims, spans
from z4j_fastapi.buffer.disk_fault import Tell
from z4j_fastapi.buffer.event_log import CHUNK, Row, utf8_size
from z4j_fastapi.buffer.event_store import EventStore
from z4j_fastapi.buffer.housekeeper import Housekeeper
from z4j_probes.errors import StorageError
from z4j_probes.storage import private_directory

# A week without a brain, at six events a second; with small events the count never is what bounds.
MAX_EVENTS = 4_000_000
# Two million events of the usual size, and what most disks can spare for a worker that is cut off for days.
MAX_BYTES = 1024 * 1024 * 1024

# Adopting takes a fifth of the time: no one waits for it, and threads that emit want the processor, too.
ADOPT_PAUSES = 4
# A disk that is slow for a moment: the slot of an exited process is not to be held long after this is closed.
LONGEST_ADOPT_PAUSE_S = 1.0
ADOPT_PAUSE_S = 0.002

# How long the end of a process may wait for the disk. What is in the journal is there at the next start.
CLOSE_BUDGET_S = 4.0


class EventBuffer:
    """Open with `EventBuffer.open`. Thread-safe; a few microseconds for an append, never an fsync."""

    def __init__(self, store: EventStore, max_bytes: int, *, has_thread: bool) -> None:
        self._store = store
        self._intake = store.intake
        self._max_bytes = max_bytes
        self._claims = Claims()
        self._closed = False
        self._disowned = False
        self._aside: SetAside | None = None
        self._find_relocated: Callable[[], Iterable[Path]] = tuple
        self._relocated: tuple[Path, ...] | None = None
        self._housekeeper: Housekeeper | None = None
        if has_thread:
            self._housekeeper = Housekeeper(store, lambda: self.look())
        self.look: Callable[[], object] = bool
        """The housekeeper calls it in each round, every few seconds without work, and at the end."""
        self.slot = slot.number if (slot := store.database.slot) else slots.random_number()
        """The number of this process among its siblings, for as long as it lives."""

    @classmethod
    def open(
        cls,
        directory: Path | None,
        identity: str,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        find_directory: Callable[[], Path] | None = None,
    ) -> EventBuffer:
        """The lowest free slot in `<directory>/<identity>`, with what an earlier process left in it.

        Without a directory it is in memory only (bounded by `intake.MEMORY_EVENTS` as well), and its
        slot a random number; `find_directory`, which raises StorageError, is then asked again and again for
        one to move to. Raises StorageError where no file can be used, and RuntimeError where this process can
        have no more threads.
        """
        directory = private_directory(directory, identity) if directory else None
        find_slot = None
        if find_directory is not None:
            find = find_directory

            def find_slot() -> slots.Slot:
                return slots.take_unused(private_directory(find(), identity))

        with forks.inside():
            slot = slots.take_lowest(directory) if directory else None
            store = EventStore(slot, max_events, max_bytes, find_slot)
        buffer = cls(store, max_bytes, has_thread=bool(slot or find_slot))
        forks.watch(buffer)
        if buffer._housekeeper:
            try:
                buffer._housekeeper.start()
            except RuntimeError:
                store.close()
                forks.unwatch(buffer)
                raise
        return buffer

    def on_trouble(self, tell: Tell) -> None:
        """Have `tell` called, from any thread, when the disk fails or has failed, and when it works again."""
        self._store.fault.tell = tell
        if fault := self._store.fault.code:
            tell(fault, "events are kept only in memory until that ends")

    @property
    def depth(self) -> int:
        """How many events are waiting or on their way."""
        return self._store.depth

    @property
    def bytes(self) -> int:
        """How many bytes of JSON they are."""
        return self._store.bytes

    @property
    def dropped(self) -> int:
        """How many events were ever lost for want of room, by earlier processes on this file too."""
        return self._store.dropped

    @property
    def not_durable(self) -> int:
        """How many events of this process were in no file when `append` returned, and answered with False.

        They are delivered from memory, and written when the disk works again; the end of the process may
        have cost some of them, which are `dropped` then.
        """
        return self._store.not_durable

    @property
    def fault(self) -> str:
        """What is wrong with the disk at the moment, as a `buffer` code; empty if nothing is."""
        return self._store.fault.code

    @property
    def directory(self) -> Path | None:
        """Where the files are; None while there are none."""
        return self._store.database.slot.path.parent if self._store.database.slot else None

    @property
    def file_slot(self) -> int | None:
        """The number of the buffer file, None without one; not `slot` where this began without files."""
        return self._store.database.slot.number if self._store.database.slot else None

    def wake_housekeeper(self) -> None:
        """Have `look` called at once."""
        if self._housekeeper:
            self._housekeeper.hurry()

    @property
    def damaged_copy(self) -> Path | None:
        """Where the corrupt file of this slot went, if there was one."""
        return self._store.database.slot.damaged_copy if self._store.database.slot else None

    @property
    def closed(self) -> bool:
        """True once it keeps nothing any more: after `close`, and in a process that was forked off."""
        return self._closed or self._disowned

    def append(self, event_json: str) -> bool:
        """Keep one event, given as JSON. True once it is in a file, and survives the end of this process.

        False if it is in no file: in memory only, because the disk fails (counted as `not_durable`); not kept
        at all, because it is too large or no text (counted as `dropped`); or this is closed. From any thread,
        signal handler or destructor.
        """
        try:
            payload = event_json.encode()
        except UnicodeEncodeError:  # no JSON that a brain could read
            payload = b""
        if self._closed or self._disowned:
            return False
        intake, housekeeper = self._intake, self._housekeeper
        if not payload or len(payload) > self._max_bytes:
            intake.refuse()
            is_written = None
        else:
            is_written = intake.append(event_json, payload)
        if housekeeper is not None:
            if intake.is_pressing:
                housekeeper.hurry()
            else:
                housekeeper.wake()
        return is_written is True

    def claim(self, max_events: int, max_bytes: int) -> Batch:
        """The oldest events that are not on their way yet, as one batch; empty if there are none.

        An event above `max_bytes` comes by itself; the caller forgets it as dropped, or sets it aside.
        """
        rows: list[Row] = []
        room = max_bytes
        more = True
        while more and len(rows) < max_events:
            taken, more = self._take(min(CHUNK, max_events - len(rows)), room, started=bool(rows))
            rows += taken
            room -= sum(utf8_size(json) for _, json in taken)
        batch = Batch(tuple(id_ for id_, _ in rows), tuple(json for _, json in rows))
        if rows:
            with self._store.locks.memory:
                self._claims.start(batch)
        return batch

    def forget(self, batch: Batch, *, dropped: bool = False) -> None:
        """The brain has acknowledged `batch`: its events are done. Nothing happens to one given back.

        With `dropped` they are lost, and counted: no brain will ever take them.
        """
        with self._store.locks.memory:
            if not self._claims.end(batch):
                return
        if dropped:
            self._intake.refuse(len(batch))
        self._delete(batch.ids)

    def release(self, batch: Batch) -> None:
        """`batch` did not arrive: its events are claimed again, before all newer ones."""
        with self._store.locks.memory:
            self._claims.give_back(batch)

    def release_all(self) -> None:
        """The same for every batch that is on its way."""
        with self._store.locks.memory:
            self._claims.give_back_all()

    def set_aside(self, batch: Batch, code: str, events: Iterable[int] | None = None) -> int:
        """Put events of `batch` where they hold up no other: in `aside.sqlite`, with the code of the reason.

        `events` are positions in the batch (None: all of them); the others are claimed again. How many are in
        the file now; what finds no room there, or has no file, is counted as dropped.
        """
        with self._store.locks.memory:
            if not self._claims.end(batch):
                return 0
            chosen = set(range(len(batch)) if events is None else events)
            self._claims.return_ids(id_ for n, id_ in enumerate(batch.ids) if n not in chosen)
        kept = 0
        aside = self.aside
        texts = [json for n, json in enumerate(batch.payloads) if n in chosen]
        if aside:
            try:
                kept = aside.add(texts, code)
            except StorageError as exc:
                self._store.fault.tell(exc.code, f"events can't be set aside, and are dropped: {exc}")
        if kept < len(texts):
            self._intake.refuse(len(texts) - kept)
        self._delete(sorted(id_ for n, id_ in enumerate(batch.ids) if n in chosen))
        return kept

    @property
    def aside(self) -> SetAside | None:
        """What this agent's processes have set aside; None while there are no files."""
        directory = self.directory
        if directory is None:
            return None
        if self._aside is None or self._aside.directory != directory:
            self._aside = SetAside(directory)
        return self._aside

    def adopt(self) -> int:
        """Move the events of exited processes over here; how many they were.

        Stops at this buffer's bounds. What stays behind is there for the process that starts on it.
        """
        own = self._store.database.slot
        if own is None:
            return 0
        if self._relocated is None:
            self._relocated = tuple(self._find_relocated())
        moved = self._adopt_in(own.path.parent, own.number)
        for directory in self._relocated:
            moved += self._adopt_in(directory, None)
        return moved

    def adopt_also(self, find: Callable[[], Iterable[Path]]) -> None:
        """Look for events in these directories, too: of the same identity, where it was relocated before.

        `find` is called once, by the first `adopt`: a temporary directory may be long, and no start waits
        for it.
        """
        self._find_relocated = find

    def pour_into(self, other: EventBuffer) -> None:
        """Close this, which is in memory only, and give its events to another one.

        What was just about to be appended here is not: `append` answers False, and this is `closed`.
        """
        self._closed = True
        transfer.pour(self._store, other._store)
        if other._housekeeper:
            other._housekeeper.wake()
        forks.unwatch(self)

    def close(self, budget_s: float = CLOSE_BUDGET_S) -> bool:
        """Leave what is undelivered on disk for the next start, and give the slot back.

        False where the disk does not answer within the budget: the slot is then held until the process ends,
        and what is in the journal is there for the next one.
        """
        if self.closed:
            return True
        self._closed = True
        if self._housekeeper is None:
            self._store.close()
        elif not self._housekeeper.close(budget_s):
            forks.keep_for_ever(self._store)  # a thread is inside of it
            return False
        forks.unwatch(self)
        return True

    def hold(self, seconds: float) -> None:
        """For `forks`: nothing but a wait for the disk is inside SQLite once this returns."""
        self._store.locks.hold(seconds)

    def resume(self) -> None:
        """For `forks`: the parent goes on."""
        self._store.locks.let_go()

    def disown(self) -> object:
        """For `forks`: in the child this keeps nothing and gives nothing from now on."""
        self._disowned = True
        self._store.disown()
        return self._store

    def _take(self, limit: int, room: int, *, started: bool) -> tuple[list[Row], bool]:
        """Up to `limit` events within `room`, and whether there may be more of them."""
        if self.closed:
            return [], False
        with self._store.locks.memory:
            span = self._claims.next_span()
        rows = self._store.read(span, limit)
        if rows is None:
            if self._housekeeper:
                self._housekeeper.wake()
            return [], False
        taken = _fitting(rows, room, at_least_one=not started)
        fit = len(taken) == len(rows)
        exhausted = fit and len(rows) < limit
        with self._store.locks.memory:
            more = fit and (self._claims.has_returned or not exhausted)
            self._claims.claimed(span, taken[-1][0] if taken else None, exhausted=exhausted)
        return taken, more

    def _delete(self, ids: Iterable[int]) -> None:
        for span in spans(ids, CHUNK):
            if not self.closed:
                self._store.delete(span)
        if self._store.fault.code and self._housekeeper:
            self._housekeeper.wake()

    def _adopt_in(self, directory: Path, own_number: int | None) -> int:
        moved = 0
        for found in slots.abandoned(directory, own_number):
            try:
                with forks.inside():
                    orphan = EventStore(found, MAX_EVENTS, 2 * MAX_BYTES, takes_events=False)
            except StorageError:
                continue
            try:
                with forks.inside():
                    is_settled = orphan.settle()
                began_s = time.monotonic()
                while is_settled and not self.closed and (count := self._adopt_pack(orphan)):
                    moved += count
                    if self._housekeeper and self._store.is_crowded:
                        self._housekeeper.hurry()
                    elif self._housekeeper:
                        self._housekeeper.wake()
                    time.sleep(min(ADOPT_PAUSES * (time.monotonic() - began_s), LONGEST_ADOPT_PAUSE_S))
                    while self._store.is_crowded and not self.closed and not self._store.fault.code:
                        time.sleep(ADOPT_PAUSE_S)
                    began_s = time.monotonic()
            finally:
                with forks.inside():
                    orphan.close()
        return moved

    def _adopt_pack(self, orphan: EventStore) -> int:
        with forks.inside():
            return transfer.adopt_pack(orphan, self._store)


def _fitting(rows: list[Row], room: int, *, at_least_one: bool) -> list[Row]:
    taken: list[Row] = []
    for row in rows:
        room -= utf8_size(row[1])
        if room < 0 and (taken or not at_least_one):
            break
        taken.append(row)
    return taken
