"""A lock that a process holds on an open file until it closes it, or dies."""

from __future__ import annotations

import contextlib
import os
import sys


def try_lock(descriptor: int) -> bool:
    """Take it, without waiting. False only while another process holds it.

    True also where files can't be locked (some network file systems, Python builds without fcntl): what it
    guards has to bear that.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
    return True


def release(descriptor: int) -> None:
    """Give it up and close the file. Windows gives up locks some time after a file was closed."""
    if sys.platform == "win32":
        import msvcrt

        with contextlib.suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    os.close(descriptor)
