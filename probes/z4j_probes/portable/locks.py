"""A lock that a process holds on an open file until it closes it, or dies."""

from __future__ import annotations

import contextlib
import os
import sys

# The byte that SQLite locks for reading; who has it for writing has the database for itself alone.
_SQLITE_SHARED = 2**30 + 2
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


def locked_databases() -> set[tuple[int, int]]:
    """Device and inode of the SQLite databases that a process has for itself alone, as far as Linux tells.

    It tells that of all at once, without opening one. Empty on other systems; and what is not among them may
    be locked all the same, on a file system of another kind, or by a process that can't be seen from here.
    """
    found: set[tuple[int, int]] = set()
    if sys.platform != "linux":
        return found
    # proc(5): "1: POSIX  ADVISORY  WRITE 707 08:01:7 1073741824 1073742335"; the device is hexadecimal
    with contextlib.suppress(OSError, ValueError), open("/proc/locks", encoding="ascii") as locks:
        for line in locks:
            fields = line.split()
            if fields[1:4] == ["POSIX", "ADVISORY", "WRITE"] and fields[7] != "EOF":
                (major, minor, inode), first, last = fields[5].split(":"), int(fields[6]), int(fields[7])
                if first <= _SQLITE_SHARED <= last:
                    found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
    return found
