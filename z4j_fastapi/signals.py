"""Ctrl-C and SIGTERM: either ends a run with what is known by then, where something can answer it.

By default SIGTERM kills, which leaves a terminal without its cursor, and a container's first process not even
notices it: there the kernel drops it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_BOTH = {signal.SIGINT, signal.SIGTERM}
_terminated: list[int] = []


def block_signals() -> None:
    """From now on both wait for the next part that is `interruptible`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _BOTH)
    signal.signal(signal.SIGTERM, _terminate)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let both through: KeyboardInterrupt, or in a loop of asyncio's the end of its main task."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BOTH)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_pending() -> bool:
    """Whether one of both has come and is held back."""
    return bool(signal.sigpending() & _BOTH)


@contextmanager
def held_back(seconds: float) -> Iterator[None]:
    """Do a part in spite of what is pending, for so many seconds at most: then it comes through after all."""

    def let_through(_number: int, _frame: FrameType | None) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BOTH)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = signal.signal(signal.SIGALRM, let_through)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def was_terminated() -> bool:
    """Whether it was SIGTERM that ended a part."""
    return bool(_terminated)


def _terminate(number: int, frame: FrameType | None) -> None:
    _terminated.append(number)
    answer = signal.getsignal(signal.SIGINT)  # a running loop's own, so that its tasks end in order
    if not callable(answer):  # a shell makes what it runs in the background deaf to Ctrl-C, not to this
        answer = signal.default_int_handler
    answer(signal.SIGINT, frame)
