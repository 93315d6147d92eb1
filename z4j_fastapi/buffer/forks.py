"""What becomes of open buffers when the process forks, and when it ends without closing them.

A child has a copy of each open SQLite connection. It may neither use nor close it: closing believes that
it holds the lock, and would checkpoint and delete the log under the parent. So the child disowns them: out
of use, and referenced for ever, past the end of the interpreter.

Before the fork every buffer's lock is taken, and what uses SQLite without a lock of its own does so `inside`:
no thread is inside SQLite when the memory is copied, or the child would wait for ever for a mutex that a
thread has which it does not have. A fork does not wait for long; what waits for the disk with a lock mostly
holds no mutex but those of its own connection.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Protocol

from z4j_probes.portable.fork import at_fork

# How long a fork waits for what is being done, and the end of the process. Each for all disks.
_HOLD_S = 0.5
_EXIT_S = 4.0


class Forkable(Protocol):
    """Something that owns a connection."""

    def hold(self, seconds: float) -> None:
        """Finish what is going on, if that takes no longer, and start nothing."""

    def resume(self) -> None:
        """Go on, in the process that forked."""

    def disown(self) -> object:
        """Go out of use for good, in the child; gives what must never be closed there."""

    def close(self, budget_s: float) -> bool:
        """The interpreter ends; False where that takes longer than the budget."""


_open: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []
# Two threads may fork at once: `_held` is one fork's, from before it until after it.
_forking = threading.RLock()
_disowned: list[object] = []
_entry = threading.RLock()
_left = threading.Condition()
_inside = 0


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
    global _inside
    with _entry, _left:
        _inside += 1
    try:
        yield
    finally:
        with _left:
            _inside = max(0, _inside - 1)  # in a child it is none already
            _left.notify_all()


def _before() -> None:
    _forking.acquire()
    _entry.acquire()
    deadline_s = time.monotonic() + _HOLD_S
    with _left:
        _left.wait_for(lambda: not _inside, _HOLD_S)
    _held[:] = list(_open)
    for buffer in _held:
        buffer.hold(max(0.0, deadline_s - time.monotonic()))


def _after_in_parent() -> None:
    for buffer in _held:
        buffer.resume()
    _held.clear()
    _entry.release()
    _forking.release()


def _after_in_child() -> None:
    global _entry, _left, _inside
    for buffer in _held:
        keep_for_ever(buffer.disown())
        _open.discard(buffer)
    _held.clear()
    # another thread of the parent may have had these
    _entry, _left, _inside = threading.RLock(), threading.Condition(), 0
    _forking.release()


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


at_fork(before=_before, in_parent=_after_in_parent, in_child=_after_in_child)
atexit.register(_at_exit)
