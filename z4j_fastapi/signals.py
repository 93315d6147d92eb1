"""Ctrl-C and SIGTERM: either ends a run with what is known by then, where something can answer it.

By default SIGTERM kills, which leaves a terminal without its cursor, and a container's first process not even
notices it: there the kernel drops it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

_BOTH = {signal.SIGINT, signal.SIGTERM}
_terminated: list[int] = []
_has_ended_a_part = threading.Event()


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
    except KeyboardInterrupt:
        _has_ended_a_part.set()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_come() -> bool:
    """Whether one of both has ended a part, or is held back."""
    return _has_ended_a_part.is_set() or _is_pending()


@contextmanager
def last_word(seconds: float) -> Iterator[None]:
    """Finish a part although one of both has come; KeyboardInterrupt where it takes longer than that."""

    def enough(_number: int, _frame: FrameType | None) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BOTH)  # which says whether it was SIGTERM
        raise KeyboardInterrupt

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = signal.signal(signal.SIGALRM, enough)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with nullcontext() if _is_pending() else interruptible():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _is_pending() -> bool:
    return bool(signal.sigpending() & _BOTH)


def was_terminated() -> bool:
    """Whether it was SIGTERM that ended a part."""
    return bool(_terminated)


def _terminate(number: int, frame: FrameType | None) -> None:
    _terminated.append(number)
    answer = signal.getsignal(signal.SIGINT)  # a running loop's own, so that its tasks end in order
    if not callable(answer):  # a shell makes what it runs in the background deaf to Ctrl-C, not to this
        answer = signal.default_int_handler
    answer(signal.SIGINT, frame)
