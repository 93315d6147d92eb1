"""A bell that may be rung in the middle of its ringing: signal handlers and destructors run at any moment.

`threading.Event` has a lock of its own, for which such code would wait in the thread that it has interrupted.
"""

from __future__ import annotations

import contextlib
import queue


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

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is rung, or that long; whether it was rung."""
        try:
            self._strokes.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def reset(self) -> None:
        """What rang before is about to be seen to."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._strokes.get_nowait()
        self._is_rung = False
