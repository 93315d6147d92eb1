"""Long work in a thread that no one waits for, in bites, so that threads that emit need not wait for it.

A thread that gives the interpreter up for the time of a system call has it again before another one is awake,
which then waits for its whole switch interval, 5 ms. So it sleeps for a moment after each bite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# Some tenths of a millisecond of work at most.
BITE = 20
BREATH_S = 0.0001
# How long it goes on so. On a busy machine a moment is long, and a fork or a claim may wait for the end.
GENTLE_S = 0.2


def in_bites(items: Sequence[T], is_urgent: Callable[[], bool]) -> Iterator[T]:
    """The items, with a moment for other threads after every few; none while it `is_urgent`."""
    until_s = time.monotonic() + GENTLE_S
    for number, item in enumerate(items, 1):
        yield item
        if number % BITE == 0 and not is_urgent() and time.monotonic() < until_s:
            time.sleep(BREATH_S)
