"""What ends a run with what is known by then: Ctrl-C, SIGTERM, its deadline, and the end of its parent.

By default SIGTERM kills, which leaves a terminal without its cursor, and a container's first process not even
notices it: there the kernel drops it. That its parent is gone, nothing tells a process by default: a doctor
whose `sudo` was killed would wait on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, TypeVar

from z4j_probes.portable import loop, signals

T = TypeVar("T")

# A clock takes no time that is over.
_AT_ONCE_S = 0.001

_terminated: list[int] = []
_has_ended_a_part = threading.Event()


def block_signals() -> None:
    """From now on all of them wait for the next part that is `interruptible`."""
    signals.block()
    signal.signal(signal.SIGTERM, _terminate)


def end_after(seconds: float) -> None:
    """Have the run ended after that time, as by SIGTERM."""
    signals.ring_after(seconds, _terminate)


def end_with_parent() -> None:
    """Have the run ended, as by SIGTERM, once the process that started it is gone (Linux).

    Not under nohup, which says that it is to go on.
    """
    signals.tell_when_parent_is_gone(lambda number, frame: _terminate(signal.SIGTERM, frame))


@contextmanager
def interruptible() -> Iterator[None]:
    """Let them through: each is a KeyboardInterrupt, the one that was held back at once."""
    try:
        with signals.let_through():
            yield
    except KeyboardInterrupt:
        _has_ended_a_part.set()
        raise


def run_interruptible(main: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop that the first of them ends in order, as a canceled task; KeyboardInterrupt then.

    They are let through once the loop can answer: an exception while it is made leaves half a loop.
    """
    results: list[T] = []  # not the task's: as its loop ends, texts are made of the task and its result

    async def heard() -> None:
        with signals.let_through():
            results.append(await main)

    try:
        loop.run(heard())
        return results[0]
    except KeyboardInterrupt:
        _has_ended_a_part.set()
        raise


def has_come() -> bool:
    """Whether one of them has ended a part, or is held back."""
    return _has_ended_a_part.is_set() or _is_pending()


@contextmanager
def last_word(seconds: float) -> Iterator[None]:
    """Finish a part although one of them has come; KeyboardInterrupt where it takes longer than that.

    A deadline that is still to come goes on behind it, and comes at once if it has passed by then.
    """

    def enough(_number: int, _frame: FrameType | None) -> None:
        signals.unblock()  # which says what it was
        raise KeyboardInterrupt

    is_pending, is_over = _is_pending(), signals.ALARM in signals.pending()
    signals.take(signals.ALARM)  # one clock serves both, and rings below
    before = signal.getsignal(signals.ALARM)
    try:
        with signals.let_through(frozenset({signals.ALARM})):
            begun_s = time.monotonic()
            deadline_s = signals.ring_after(seconds, enough)
            try:
                with nullcontext() if is_pending else interruptible():
                    yield
            finally:
                signals.ring_after(0)
    except KeyboardInterrupt:
        if is_over:  # whatever else came: a passed deadline is what a script waits for
            _terminated.append(signals.ALARM)
        raise
    signal.signal(signals.ALARM, before)
    if is_over:
        signal.raise_signal(signals.ALARM)
    elif deadline_s:
        signals.ring_after(max(deadline_s - (time.monotonic() - begun_s), _AT_ONCE_S))


def _is_pending() -> bool:
    return bool(signals.pending())


def was_terminated() -> bool:
    """Whether it was SIGTERM, or the end of the parent, that ended a part."""
    return signal.SIGTERM in _terminated


def is_over() -> bool:
    """Whether it was the deadline that ended a part."""
    return signals.ALARM in _terminated


def _terminate(number: int, frame: FrameType | None) -> None:
    _terminated.append(number)
    answer = signal.getsignal(signal.SIGINT)  # a running loop's own, so that its tasks end in order
    if not callable(answer):  # a shell makes what it runs in the background deaf to Ctrl-C, not to this
        answer = signal.default_int_handler
    answer(signal.SIGINT, frame)
