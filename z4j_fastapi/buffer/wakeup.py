"""SignalSafeEvent: a wake-up for a waiting thread that a signal handler may give at any moment.

`threading.Event` has a lock: a signal handler or a destructor that sets it while it interrupts the same
thread in the middle of setting it would wait for ever.
"""

from __future__ import annotations

import contextlib
import queue


class SignalSafeEvent:
    """One thread waits, any thread, signal handler or destructor may set; it stays set until `clear`."""

    __slots__ = ("_is_set", "_tokens")

    def __init__(self) -> None:
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()  # its `put` is reentrant
        self._is_set = False

    def set(self) -> None:
        """Wake the thread that waits."""
        if not self._is_set:
            self._is_set = True
            self._tokens.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is set, or for that many seconds; whether it was set."""
        try:
            self._tokens.get(timeout=seconds)
        except queue.Empty:
            return self._is_set  # also where an exception has kept the one who set it from waking us
        return True

    def clear(self) -> None:
        """Forget what set it; call it before looking at what there is to do."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._tokens.get_nowait()
        self._is_set = False
