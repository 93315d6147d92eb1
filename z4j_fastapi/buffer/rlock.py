"""SignalSafeRLock: a lock that a signal handler that raises does not leave behind.

Python 3.14 runs handlers between the `__enter__` of a `with` and its body, too
(https://github.com/python/cpython/issues/148874). With a lock of `threading`, whose `__enter__` is C, nothing
is left that would release it. Here the exception passes through a function that does.
"""

from __future__ import annotations

import _thread
import contextlib
from collections.abc import Callable


class SignalSafeRLock(_thread.RLock):  # type: ignore[misc]  # it is final in typeshed only
    """As `threading.RLock`, to be taken by `with`. A destructor that interrupts may take it, too."""

    def __enter__(self) -> bool:  # type: ignore[override]  # `with` gives no arguments
        try:
            return self.acquire()
        except BaseException:
            # no contextlib.suppress: that is a `with` as well
            try:  # noqa: SIM105
                self.release()
            except RuntimeError:  # it came while another thread had the lock
                pass
            raise

    @property
    def free(self) -> Callable[[], object] | None:
        """What makes it free in a forked child, whichever thread had it; None where no process forks."""
        return getattr(self, "_at_fork_reinit", None)  # as the standard library does it, in C


def release(lock: SignalSafeRLock) -> None:
    """Give a lock back that a signal handler may have kept this thread from taking."""
    with contextlib.suppress(RuntimeError):
        lock.release()
