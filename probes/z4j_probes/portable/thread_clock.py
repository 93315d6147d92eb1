"""How long a thread has had the processor, as another thread sees it: whether it works, or waits."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable


def own_clock() -> Callable[[], float] | None:
    """For the thread that calls this: what tells its CPU seconds, from any thread, as long as it lives.

    It raises OSError after that. None where a system has no such clock (macOS, Windows).
    """
    if sys.platform in ("darwin", "win32"):
        return None
    try:
        clock = time.pthread_getcpuclockid(threading.get_ident())
    except (AttributeError, OSError):
        return None
    return lambda: time.clock_gettime(clock)
