"""Waiting for a file that need not answer: a FIFO, a terminal, a pipe whose reader has stopped reading."""

from __future__ import annotations

import select
import sys
import time

ROOM: int = getattr(select, "PIPE_BUF", 512)
"""So many bytes at least a pipe takes without waiting where it takes any (POSIX; Linux has 4096)."""
_LOOK_MS = 500


def wait_readable(descriptor: int, deadline_s: float) -> None:
    """TimeoutError where nothing can be read by then (time.monotonic).

    On Windows it returns at once, and the read that follows may block: the caller's thread is left behind.
    """
    if sys.platform != "win32" and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
            raise TimeoutError


def wait_writable(descriptor: int) -> None:
    """Return when `ROOM` bytes can be written, or the write would fail. Signals are answered meanwhile.

    A write that waits does not answer each: Python does between two steps, and where one interrupts a system
    call; what comes after the last step before the call waits as long as the call does. On Windows, and for
    what can't be waited for, this returns at once.
    """
    if sys.platform != "win32" and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        while not poll.poll(_LOOK_MS):
            pass
