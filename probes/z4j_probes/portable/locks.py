"""A lock that a process holds on an open file until it closes it, or dies."""

from __future__ import annotations

import contextlib
import os
import sys

# Windows keeps others from reading what is locked: a byte behind all that is ever written.
_AT = 2**30


def try_lock(descriptor: int) -> bool:
    """Take it, without waiting. False only while another process holds it.

    True also where files can't be locked (some network file systems, Python builds without fcntl): what it
    guards has to bear that.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
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


def is_held(descriptor: int) -> bool | None:
    """Whether another process holds it; None where files can't be locked."""
    if sys.platform == "win32":
        import msvcrt

        if not try_lock(descriptor):
            return True
        os.lseek(descriptor, _AT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return False
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return None
    return False


def release(descriptor: int) -> None:
    """Give it up and close the file. Windows gives up locks some time after a file was closed."""
    if sys.platform == "win32":
        import msvcrt

        with contextlib.suppress(OSError):
            os.lseek(descriptor, _AT, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    os.close(descriptor)
