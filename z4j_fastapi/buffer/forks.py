"""What becomes of open buffers when the process forks, and when it ends without closing them.

A child has a copy of each open SQLite connection. It may neither use nor close it: closing believes that
it holds the lock, and would checkpoint and delete the log under the parent. So the child disowns them: out
of use, and referenced for ever, past the end of the interpreter.

Before the fork every buffer's lock is taken, and what uses SQLite without a lock of its own does so `inside`:
no thread is inside SQLite when the memory is copied, or the child would wait for ever for a mutex that a
thread has which it does not have. A fork does not wait for long; what waits for the disk with a lock mostly
holds no mutex but those of its own connection.

A signal handler may raise at any moment of this, at the first instruction of a function too. Python tells of
what is raised around a fork, and forks all the same. So what comes after the fork counts on nothing that was
to be done before, is done by functions that are called twice, and locks are given back by C, which no handler
interrupts.
"""

from __future__ import annotations

import atexit
import contextlib
import time
import weakref
from collections.abc import Iterator
from typing import Protocol

from z4j_fastapi.buffer.rlock import SignalSafeRLock
from z4j_fastapi.buffer.wakeup import SignalSafeEvent
from z4j_probes.portable.fork import at_fork

# How long a fork waits for what is being done, and the end of the process. Each for all disks.
_HOLD_S = 0.5
_EXIT_S = 4.0


class Forkable(Protocol):
    """Something that owns a connection."""

    def hold(self, seconds: float) -> None:
        """Finish what is going on, if that takes no longer, and start nothing."""

    def resume(self) -> None:
        """Go on, in the process that forked; also where `hold` was not called, or did not come to its end."""

    def disown(self) -> object:
        """Go out of use for good, in the child; gives what must never be closed there."""

    def close(self, budget_s: float) -> bool:
        """The interpreter ends; False where that takes longer than the budget."""


_open: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []
# Two threads may fork at once: `_held` is one fork's, from before it until after it.
_forking = SignalSafeRLock()
_disowned: list[object] = []
_entry = SignalSafeRLock()
_inside: set[object] = set()
_left = SignalSafeEvent()


def watch(buffer: Forkable) -> None:
    """Look after `buffer` until it is garbage or `unwatch`ed. To be called before SQLite is used."""
    with _entry:  # a fork that has begun does not know of it
        _open.add(buffer)


def unwatch(buffer: Forkable) -> None:
    """`buffer` is closed."""
    _open.discard(buffer)


@contextlib.contextmanager
def inside() -> Iterator[None]:
    """While SQLite is used by what nothing watches: a fork waits for the end, and lets no other begin."""
    user = object()
    try:
        with _entry:
            _inside.add(user)
        yield
    finally:
        _inside.discard(user)
        _left.set()


def _hold_all() -> None:
    deadline_s = time.monotonic() + _HOLD_S
    _left.clear()
    while _inside and _left.wait(max(0.0, deadline_s - time.monotonic())):
        _left.clear()
    for buffer in list(_open):
        _held.append(buffer)
        buffer.hold(max(0.0, deadline_s - time.monotonic()))


def _resume_all() -> None:
    while _held:
        _held[-1].resume()
        _held.pop()


def _disown_all() -> None:
    global _left
    for buffer in list(_open):
        keep_for_ever(buffer.disown())
        _open.discard(buffer)
    _held.clear()
    _inside.clear()
    _left = SignalSafeEvent()  # another thread of the parent may be in the middle of setting it


def keep_for_ever(thing: object) -> None:
    """Never close `thing`, not even when the interpreter ends."""
    _disowned.append(thing)
    # The interpreter empties that list when it ends, which would close the connection after all.
    with contextlib.suppress(ImportError):
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _at_exit() -> None:
    deadline_s = time.monotonic() + _EXIT_S
    for buffer in list(_open):
        buffer.close(max(0.0, deadline_s - time.monotonic()))


# Before a fork the last comes first, after it the first.
at_fork(before=_hold_all, in_parent=_resume_all, in_child=_disown_all)
at_fork(in_parent=_resume_all, in_child=_disown_all)
for _lock in (_entry, _forking):
    at_fork(before=_lock.acquire, in_parent=_lock.release, in_child=_lock.free)
atexit.register(_at_exit)
