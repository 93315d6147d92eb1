"""What a thread may enter while it is inside: signal handlers and destructors run in the middle of anything.

With a plain lock, an event that such code emits would wait for the thread that it has interrupted, for ever;
`threading.Event` has a plain lock of its own.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from types import TracebackType
from typing import Self


class Section:
    """A critical section that knows when it is entered from within. One thread at a time is inside."""

    __slots__ = ("_depth", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # An interruption between two steps here leaves it as it was: whatever enters also leaves.
        self._depth = 0

    def __enter__(self) -> Self:
        self._lock.acquire()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        self._lock.release()

    @property
    def is_nested(self) -> bool:
        """Asked inside: whether this thread was inside already, with its work half done."""
        return self._depth > 1


class Bell:
    """One thread waits for it, any may ring it; it stays rung until `reset`."""

    __slots__ = ("_is_rung", "_strokes")

    def __init__(self) -> None:
        self._strokes: queue.SimpleQueue[None] = queue.SimpleQueue()  # whose `put` is reentrant
        self._is_rung = False

    def ring(self) -> None:
        """Wake whoever waits."""
        if not self._is_rung:
            self._is_rung = True
            self._strokes.put(None)

    def wait(self, seconds: float | None = None) -> None:
        """Until it is rung, or that long."""
        with contextlib.suppress(queue.Empty):
            self._strokes.get(timeout=seconds)

    def reset(self) -> None:
        """What rang before is about to be seen to."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._strokes.get_nowait()
        self._is_rung = False
