"""EventBuffer: what the agent has to tell the brain, until the brain has acknowledged it.

Append from any thread; claim a batch, several may be on their way; forget it once it is acknowledged, or
give it back after a lost connection. Events survive `kill -9` from the moment `append` returns; a power
cut may cost about the last second (`event_log` says why). Above its bounds the oldest events go, and are
counted; one that is dropped while it is on its way counts too, since nobody knows yet whether it arrives.

A housekeeping thread does every fsync, because the threads that append may run an event loop, and
tries a disk that failed again. It holds the lock for a chunk or a checkpoint at a time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from z4j_fastapi.buffer import forks, slots
from z4j_fastapi.buffer.claims import Batch, Claims, spans
from z4j_fastapi.buffer.event_log import EventLog, Row, utf8_size
from z4j_fastapi.buffer.event_store import CHUNK, EventStore, Tell
from z4j_fastapi.buffer.wakeup import Bell
from z4j_fastapi.log import log
from z4j_probes.errors import StorageError
from z4j_probes.storage import private_directory

# A week without a brain, at six events a second; with small events the count never is what bounds.
MAX_EVENTS = 4_000_000
# Two million events of the usual size, and what most disks can spare for a worker that is cut off for days.
MAX_BYTES = 1024 * 1024 * 1024

# How much a power cut may cost, and how often a disk that failed is tried again.
HOUSEKEEPING_EVERY_S = 1.0
# How often the housekeeper of an idle buffer sees whether the agent's thread is still there.
LOOK_EVERY_S = 60.0
# Between two chunks that are adopted: a lock that is taken again at once keeps those who wait for it waiting.
ADOPT_PAUSE_S = 0.002


class EventBuffer:
    """Open with `EventBuffer.open`. Thread-safe; a few microseconds for an append, never an fsync."""

    def __init__(self, store: EventStore, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._claims = Claims()
        self._lock = threading.RLock()
        self._interrupting: deque[tuple[str, int]] = deque()
        self._closed = False
        self._parked = False
        self._work = Bell()
        self._urgent = Bell()
        self._housekeeper: threading.Thread | None = None
        self.look: Callable[[], object] = bool
        """The housekeeper calls it in each round, and every LOOK_EVERY_S while there is nothing to do."""
        self.slot = store.slot.number if store.slot else slots.random_number()

    @classmethod
    def open(
        cls,
        directory: Path | None,
        identity: str,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> EventBuffer:
        """The lowest free slot in `<directory>/<identity>`, with what an earlier process left in it.

        Without a directory it is in memory only (bounded by `event_store.MEMORY_EVENTS` as well), and its
        slot a random number. Raises StorageError where no file can be used, and RuntimeError where this
        process can have no more threads.
        """
        if directory is None:
            buffer = cls(EventStore(None, max_events, max_bytes), max_bytes)
        else:
            slot = slots.take_lowest(private_directory(directory, identity))
            buffer = cls(EventStore(slot, max_events, max_bytes), max_bytes)
            buffer._start_housekeeper()
        forks.watch(buffer)
        return buffer

    def on_trouble(self, tell: Tell) -> None:
        """Have `tell` called, from any thread, when the disk fails or has failed, and when it works again."""
        with self._lock:
            self._store.tell = tell
            if self._store.fault:
                tell(self._store.fault, "events are kept in memory alone until that is over")

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
    def fault(self) -> str:
        """Why events are kept in memory at the moment, as a `buffer` code; empty if they are not."""
        return self._store.fault

    @property
    def set_aside(self) -> Path | None:
        """Where the corrupt file of this slot went, if there was one."""
        return self._store.slot.set_aside if self._store.slot else None

    @property
    def closed(self) -> bool:
        """True once it keeps nothing any more: after `close`, and in a process that was forked off."""
        return self._closed or self._parked

    def append(self, event_json: str) -> bool:
        """Keep one event, given as JSON. False if it can't be kept: it is too large (and counted as dropped),
        or this is closed.

        One that a signal handler or a destructor appends while it interrupts this thread in here is kept as
        soon as that goes on.
        """
        try:
            size = utf8_size(event_json)
        except UnicodeEncodeError:  # no JSON that a brain could read
            size = self._max_bytes + 1
        # this thread is inside already, with its work half done (what threading.Condition asks its lock, too)
        is_nested = self._lock._is_owned()  # type: ignore[attr-defined]
        with self._lock:
            if self.closed:
                return False
            kept = size <= self._max_bytes
            if is_nested:
                self._interrupting.append((event_json, size))
                self._urgent.ring()
            else:
                self._append(event_json, size)
                self._append_interrupting()
        self._work.ring()
        if self._store.checkpoint_due:
            self._urgent.ring()
        return kept

    def claim(self, max_events: int, max_bytes: int) -> Batch:
        """The oldest events that are not on their way yet, as one batch; empty if there are none.

        An event above `max_bytes` comes alone; the caller forgets it as dropped.
        """
        rows: list[Row] = []
        room = max_bytes
        more = True
        while more and len(rows) < max_events:
            with self._lock:
                taken, more = self._take(min(CHUNK, max_events - len(rows)), room, started=bool(rows))
            rows += taken
            room -= sum(utf8_size(json) for _, json in taken)
        batch = Batch(tuple(id_ for id_, _ in rows), tuple(json for _, json in rows))
        if rows:
            with self._lock:
                self._claims.start(batch)
        return batch

    def forget(self, batch: Batch, *, dropped: bool = False) -> None:
        """The brain has acknowledged `batch`: its events are done. Nothing happens to one given back.

        With `dropped` they are done for, and counted: no brain will ever take them.
        """
        with self._lock:
            if not self._claims.end(batch):
                return
            if dropped:
                for _ in batch.ids:
                    self._store.refuse()
        for span in spans(batch.ids, CHUNK):
            with self._lock:
                if not self.closed:
                    self._store.delete(span)
        if self._store.fault:
            self._work.ring()

    def release(self, batch: Batch) -> None:
        """`batch` did not arrive: its events are claimed again, before all newer ones."""
        with self._lock:
            self._claims.give_back(batch)

    def release_all(self) -> None:
        """The same for every batch that is on its way."""
        with self._lock:
            self._claims.give_back_all()

    def adopt(self) -> int:
        """Move the events of processes that are no more over here; how many they were.

        Stops at this buffer's bounds. What stays behind is there for the process that starts on it.
        """
        moved = 0
        own = self._store.slot
        if own is None:
            return moved
        for found in slots.abandoned(own.path.parent, own.number):
            try:
                orphan = EventLog(found.connection, found.path)
            except StorageError:
                found.connection.close()
                continue
            try:
                while count := self._adopt_chunk(orphan):
                    moved += count
                    self._work.ring()
                    if self._store.checkpoint_due:
                        self._urgent.ring()
                    time.sleep(ADOPT_PAUSE_S)
            finally:
                orphan.close()
        return moved

    def close(self) -> None:
        """Leave what is undelivered on disk for the next start, and let go of the slot."""
        with self._lock:
            if self.closed:
                return
            self._closed = True
        self._work.ring()
        self._urgent.ring()
        if self._housekeeper:
            self._housekeeper.join()
        with self._lock:
            self._append_interrupting()
            self._store.close()
        forks.unwatch(self)

    def hold(self) -> None:
        """For `forks`: nothing is inside SQLite once this returns."""
        self._lock.acquire()

    def resume(self) -> None:
        """For `forks`: the parent goes on."""
        self._lock.release()

    def park(self) -> object:
        """For `forks`: in the child this keeps nothing and gives nothing from now on."""
        self._lock = threading.RLock()
        self._parked = True
        return self._store

    def _take(self, limit: int, room: int, *, started: bool) -> tuple[list[Row], bool]:
        """Up to `limit` events within `room`, and whether there may be more of them."""
        if self.closed:
            return [], False
        self._append_interrupting()
        span = self._claims.next_span()
        rows = self._store.read(span, limit)
        if rows is None:
            self._work.ring()
            return [], False
        taken = _fitting(rows, room, at_least_one=not started)
        fit = len(taken) == len(rows)
        exhausted = fit and len(rows) < limit
        more = fit and (self._claims.has_returned or not exhausted)
        self._claims.claimed(span, taken[-1][0] if taken else None, exhausted=exhausted)
        return taken, more

    def _adopt_chunk(self, orphan: EventLog) -> int:
        with self._lock:
            return 0 if self.closed else self._store.move_from(orphan)

    def _append(self, event_json: str, size: int) -> None:
        if size <= self._max_bytes:
            self._store.append(event_json, size)
        else:
            self._store.refuse()

    def _append_interrupting(self) -> None:
        while self._interrupting:
            self._append(*self._interrupting.popleft())

    def _start_housekeeper(self) -> None:
        thread = threading.Thread(target=self._keep_house, name="z4j-buffer", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self.close()
            raise
        self._housekeeper = thread

    def _keep_house(self) -> None:
        failed = ""
        while True:
            has_work = self._work.wait(LOOK_EVERY_S)
            if self._closed:
                return
            self.look()
            if not has_work:
                continue
            self._urgent.wait(HOUSEKEEPING_EVERY_S)
            if self._closed:
                return
            self._work.reset()
            self._urgent.reset()
            try:
                self._tidy()
            except Exception as exc:  # what it was for is still to do
                if failed != repr(exc):
                    log.exception("the buffer's housekeeping failed and will try again; please report it")
                failed = repr(exc)
                self._work.ring()
                continue
            failed = ""
            if self._store.fault:
                self._work.ring()

    def _tidy(self) -> None:
        if self._store.is_deleted:
            with self._lock:
                self._store.leave()
        done = False
        while not done:
            with self._lock:
                self._append_interrupting()
                done = self._store.recover()
        if self._store.fault:
            return
        try:
            # Before the checkpoint and without the lock, so that it finds little left to do under it.
            self._store.sync()
        except OSError as exc:
            with self._lock:
                self._store.degrade(exc)
        if self._store.checkpoint_due:
            with self._lock:
                self._store.checkpoint()


def _fitting(rows: list[Row], room: int, *, at_least_one: bool) -> list[Row]:
    taken: list[Row] = []
    for row in rows:
        room -= utf8_size(row[1])
        if room < 0 and (taken or not at_least_one):
            break
        taken.append(row)
    return taken
