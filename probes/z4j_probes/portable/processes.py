"""Other processes: ending a group of them, whether one lives, and how old one is by Linux's /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time


def kill_group(process: subprocess.Popen[str]) -> None:
    """End at once what was started with a session of its own, with all that it has started (Unix)."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def is_there(pid: int) -> bool:
    """Whether this user has a process with that number among those that can be seen from here (Unix)."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return True


def age_s(started_ticks: int) -> float:
    """How long a process runs that started at that field of /proc/PID/stat, in seconds."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
    return 0.0
