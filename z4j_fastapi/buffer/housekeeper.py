"""Housekeeper: the thread that waits for the disk, so that no other one has to.

It looks after a store about once a second while there is something to look after, at once where it is urgent,
and closes the store at the end. Without work it only looks whether the agent's thread is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from z4j_fastapi.buffer.event_store import EventStore
from z4j_fastapi.buffer.wakeup import SignalSafeEvent
from z4j_fastapi.log import log

# How much a power cut may cost, and how often a disk that failed is tried again.
HOUSEKEEPING_EVERY_S = 1.0
# How soon the end of an agent's thread is noticed where nothing happens.
LOOK_EVERY_S = 5.0


class Housekeeper:
    """One store's. Any thread, signal handler or destructor may call `wake` and `hurry`.

    `look` is called in each round, every LOOK_EVERY_S while there is nothing to do, and when the store is
    closed.
    """

    def __init__(self, store: EventStore, look: Callable[[], object]) -> None:
        self._store = store
        self._look = look
        self._work = SignalSafeEvent()
        self._urgent = SignalSafeEvent()
        self._is_closing = False
        self._failed: dict[Callable[[], object], str] = {}
        self._thread = threading.Thread(target=self._run, name="z4j-buffer", daemon=True)
        self.wake = self._work.set
        """There is something to look after, within a second."""

    def start(self) -> None:
        """Raises RuntimeError where this process can have no more threads."""
        self._thread.start()

    def hurry(self) -> None:
        """There is something to look after at once."""
        self._work.set()
        self._urgent.set()

    def close(self, seconds: float) -> bool:
        """Close the store, and wait for that; False where the disk takes longer than `seconds`."""
        self._is_closing = self._store.is_closing = True
        self.hurry()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_closing:
            has_work = self._work.wait(LOOK_EVERY_S)
            if has_work and not self._is_closing:
                self._urgent.wait(HOUSEKEEPING_EVERY_S)
            if self._is_closing:
                break
            if has_work:
                self._work.clear()
                self._urgent.clear()
            self._try(self._look)
            if has_work and (not self._try(self._store.tend) or self._store.is_unfinished):
                self._work.set()
        self._store.close()
        self._try(self._look)

    def _try(self, work: Callable[[], object]) -> bool:
        """Do a part of a round. False where it raised: the thread's end would be that of all durability."""
        try:
            work()
        except Exception as exc:
            if self._failed.get(work) != repr(exc):
                log.exception("the buffer's housekeeping failed and will try again; please report it")
            self._failed[work] = repr(exc)
            return False
        self._failed.pop(work, None)
        return True
