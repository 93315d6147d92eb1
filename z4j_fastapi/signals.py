"""What ends a run with what is known by then: Ctrl-C, SIGTERM, its deadline, and the end of its parent.

By default SIGTERM kills, which leaves a terminal without its cursor, and a container's first process not even
notices it: there the kernel drops it. That its parent is gone, nothing tells a process by default: a doctor
whose `sudo` was killed would wait on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

# Of the kernel's, when the thread that started this process is gone; it means nothing else to anything.
_PARENT = signal.SIGRTMIN
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGALRM, _PARENT}
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_terminated: list[int] = []
_has_ended_a_part = threading.Event()


def block_signals() -> None:
    """From now on all of them wait for the next part that is `interruptible`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    signal.signal(signal.SIGTERM, _terminate)


def end_after(seconds: float) -> None:
    """Have the run ended after that time, as by SIGTERM."""
    signal.signal(signal.SIGALRM, _terminate)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def end_with_parent() -> None:
    """Have the run ended, as by SIGTERM, once the process that started it is gone (Linux).

    Not under nohup, which says that it is to go on.
    """
    parent = os.getppid()
    if sys.platform != "linux" or parent <= 1 or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return
    import ctypes

    def look(number: int, frame: FrameType | None) -> None:
        if os.getppid() != parent:  # else it was only the thread of it that started us
            _terminate(signal.SIGTERM, frame)

    signal.signal(_PARENT, look)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(_PARENT), 0, 0, 0)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let them through: KeyboardInterrupt, or in a loop of asyncio's the end of its main task."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        yield
    except KeyboardInterrupt:
        _has_ended_a_part.set()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_come() -> bool:
    """Whether one of them has ended a part, or is held back."""
    return _has_ended_a_part.is_set() or _is_pending()


@contextmanager
def last_word(seconds: float) -> Iterator[None]:
    """Finish a part although one of them has come; KeyboardInterrupt where it takes longer than that."""

    def enough(_number: int, _frame: FrameType | None) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)  # which says what it was
        raise KeyboardInterrupt

    is_pending, is_over = _is_pending(), signal.SIGALRM in signal.sigpending()
    if is_over:  # one clock serves both, and rings below
        signal.sigwait({signal.SIGALRM})
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = signal.signal(signal.SIGALRM, enough)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with nullcontext() if is_pending else interruptible():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGALRM, before)
        if is_over:
            signal.raise_signal(signal.SIGALRM)


def _is_pending() -> bool:
    return bool(signal.sigpending() & _ENDING)


def was_terminated() -> bool:
    """Whether it was SIGTERM, or the end of the parent, that ended a part."""
    return signal.SIGTERM in _terminated


def is_over() -> bool:
    """Whether it was the deadline that ended a part."""
    return signal.SIGALRM in _terminated


def _terminate(number: int, frame: FrameType | None) -> None:
    _terminated.append(number)
    answer = signal.getsignal(signal.SIGINT)  # a running loop's own, so that its tasks end in order
    if not callable(answer):  # a shell makes what it runs in the background deaf to Ctrl-C, not to this
        answer = signal.default_int_handler
    answer(signal.SIGINT, frame)
