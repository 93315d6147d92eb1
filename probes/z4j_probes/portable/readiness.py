"""Waiting for a file that need not answer (a FIFO, a terminal), opened without blocking."""

from __future__ import annotations

import select
import sys
import time


def wait_readable(descriptor: int, deadline_s: float) -> None:
    """TimeoutError where nothing can be read by then (time.monotonic).

    On Windows it returns at once, and the read that follows may block: the caller's thread is left behind.
    """
    if sys.platform != "win32" and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
            raise TimeoutError
