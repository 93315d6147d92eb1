"""Free space, and making what was written survive a power cut."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import NamedTuple

from z4j_probes.portable import flags

# What macOS answers where a file system (a network's, FAT) has no F_FULLFSYNC.
_NOT_THERE = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)


class Room(NamedTuple):
    """What a user can still write: bytes, none where there is no inode for them, and files. `files` is None
    where the system does not tell, or a file system has no limit."""

    bytes: int
    files: int | None


def room(directory: Path) -> Room:
    """What this user can still write there. Raises OSError."""
    if not hasattr(os, "statvfs"):
        import shutil

        return Room(shutil.disk_usage(directory).free, None)
    found = os.statvfs(directory)
    files = found.f_favail if found.f_files else None
    return Room(0 if files == 0 else found.f_bavail * found.f_frsize, files)


def sync(descriptor: int) -> None:
    """Have the disk keep what was written to the file. Raises OSError; on Windows for a read-only one.

    On macOS fsync(2) ends when the drive has the data in its cache, which a power cut empties: F_FULLFSYNC
    waits for the medium.
    """
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError as exc:
            if exc.errno not in _NOT_THERE:
                raise
    os.fsync(descriptor)


def sync_data(descriptor: int) -> None:
    """The same without the times of the file, where the system tells them apart."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        sync(descriptor)


def sync_directory(directory: Path) -> None:
    """Have the disk keep the names in it. Raises OSError. NTFS keeps its own log of names: nothing to do."""
    if not flags.DIRECTORY:
        return
    descriptor = os.open(directory, flags.READ | flags.DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sqlite_pragmas() -> tuple[str, ...]:
    """What SQLite needs to be told so that its own fsync is as strong as `sync`."""
    if sys.platform == "darwin":
        return ("PRAGMA fullfsync=ON", "PRAGMA checkpoint_fullfsync=ON")
    return ()
