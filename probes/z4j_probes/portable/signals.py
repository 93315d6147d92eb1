"""Signals that wait: those that end a run are held back until something can answer them.

Where a thread has no signal mask (Windows), nothing is held back: Ctrl-C raises KeyboardInterrupt wherever
the program is, and the entry point answers that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

_HAS_MASK = hasattr(signal, "pthread_sigmask")
ALARM: int = getattr(signal, "SIGALRM", getattr(signal, "SIGBREAK", signal.SIGTERM))
"""A clock's. Windows has none: there, a thread gives the signal of Ctrl-Break."""
PARENT_GONE: int | None = getattr(signal, "SIGRTMIN", None)
"""Of the kernel's, when the thread that started this process is gone; it means nothing else to anything."""
ENDING = frozenset(
    {int(signal.SIGINT), int(signal.SIGTERM), ALARM} | ({PARENT_GONE} if PARENT_GONE else set())
)
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_timers: list[tuple[threading.Timer, float]] = []  # with the time of each, by time.monotonic


def block() -> None:
    """From now on those that end a run wait for a part that is `let_through`."""
    if sys.platform != "win32" and _HAS_MASK:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def unblock() -> None:
    """Let them through from now on, those that wait at once."""
    if sys.platform != "win32" and _HAS_MASK:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@contextmanager
def let_through(numbers: frozenset[int] = ENDING) -> Iterator[None]:
    """Let them through inside, and hold back afterwards what was held back before."""
    if sys.platform == "win32" or not _HAS_MASK:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pending() -> frozenset[int]:
    """Those of them that have come and are held back."""
    if sys.platform != "win32" and _HAS_MASK:
        return frozenset(int(number) for number in signal.sigpending()) & ENDING
    return frozenset()


def take(number: int) -> None:
    """Have one that is held back count as not come."""
    if sys.platform != "win32" and number in pending():
        signal.sigwait({number})


def ring_after(seconds: float, answer: Handler | None = None) -> float:
    """Have ALARM come after that time, for `answer` if it is given; 0 takes it back.

    In how many seconds it would have come before this; 0 for not at all.
    """
    if answer is not None:
        signal.signal(ALARM, answer)
    if sys.platform != "win32":
        left_s, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
        return left_s
    import _thread

    left_s = 0.0
    while _timers:
        before, due_s = _timers.pop()
        if before.is_alive():
            left_s = max(due_s - time.monotonic(), 0.0)
        before.cancel()
    if seconds:
        timer = threading.Timer(seconds, lambda: _thread.interrupt_main(signal.Signals(ALARM)))
        timer.daemon = True
        _timers.append((timer, time.monotonic() + seconds))
        timer.start()
    return left_s


def tell_when_parent_is_gone(answer: Handler) -> None:
    """Have PARENT_GONE come then, for `answer` (Linux). Not under nohup, which says that this is to go on."""
    if sys.platform != "linux" or PARENT_GONE is None:
        return
    parent = os.getppid()
    if parent <= 1:
        return
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_IGN:
        return

    def look(number: int, frame: FrameType | None) -> None:
        if os.getppid() != parent:  # else it was only the thread of it that started us
            answer(number, frame)

    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        signal.signal(PARENT_GONE, look)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, PARENT_GONE, 0, 0, 0)
