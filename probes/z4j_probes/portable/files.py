"""Files that others may rename, replace or delete while they are open here, as Unix lets them everywhere.

Windows does so only for a handle that was opened to allow it, and SQLite's are not: there, a database that is
to be set aside is closed first (`RENAMES_OPEN_FILES`).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from z4j_probes.portable import flags

RENAMES_OPEN_FILES = sys.platform != "win32"
# Another program (a scanner, the indexer) holds a file for moments.
_REPLACE_S = 1.0
_RETRY_S = 0.01


def open_shared(path: str | os.PathLike[str], how: int, mode: int = 0o600) -> int:
    """As os.open. What is open by it can be renamed and deleted."""
    if sys.platform == "win32":
        return _open_shared_on_windows(os.fspath(path), how)
    return os.open(path, how, mode)


def open_to_sync(path: str | os.PathLike[str]) -> int:
    """A descriptor of a file that others write, for reading it and for `disk.sync`."""
    return open_shared(path, flags.READ if RENAMES_OPEN_FILES else flags.READ_WRITE)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """So many bytes from there. Not for a descriptor that another thread reads."""
    if hasattr(os, "pread"):
        return bytes(os.pread(descriptor, size, offset))
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """As os.replace. Windows refuses while another process has the target open: tried for a second there."""
    deadline_s = time.monotonic() + _REPLACE_S
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if RENAMES_OPEN_FILES or time.monotonic() > deadline_s:
                raise
        time.sleep(_RETRY_S)


def set_mode(descriptor: int, path: str | os.PathLike[str], mode: int) -> None:
    """As os.fchmod. On Windows a mode says no more than whether the file is read-only."""
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)
    else:
        os.chmod(path, mode)


def is_link(path: Path) -> bool:
    """Whether it is a symbolic link, or what Windows has beside them (junctions)."""
    if path.is_symlink():
        return True
    if sys.platform == "win32":
        import stat

        try:
            return bool(path.lstat().st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)
        except OSError:
            return False
    return False


if sys.platform == "win32":
    _GENERIC_READ, _GENERIC_WRITE, _FILE_APPEND_DATA = 0x80000000, 0x40000000, 0x4
    _SHARE_ALL = 0x7  # FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
    _CREATE_NEW, _OPEN_EXISTING, _OPEN_ALWAYS = 1, 3, 4
    _OPEN_REPARSE_POINT, _NORMAL = 0x00200000, 0x80

    def _open_shared_on_windows(path: str, how: int) -> int:
        import ctypes
        import msvcrt
        from ctypes import wintypes

        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel32.CreateFileW.restype = wintypes.HANDLE
        kernel32.CreateFileW.argtypes = [
            wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID,
            wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE,
        ]  # fmt: skip
        access = _GENERIC_READ | (_GENERIC_WRITE if how & (os.O_RDWR | os.O_WRONLY) else 0)
        disposition = _OPEN_EXISTING
        if how & os.O_CREAT:
            disposition = _CREATE_NEW if how & os.O_EXCL else _OPEN_ALWAYS
        handle = kernel32.CreateFileW(
            path, access, _SHARE_ALL, None, disposition, _OPEN_REPARSE_POINT | _NORMAL, None
        )
        if handle == wintypes.HANDLE(-1).value:
            raise ctypes.WinError(ctypes.get_last_error())
        return msvcrt.open_osfhandle(handle, how & (os.O_RDWR | os.O_APPEND | os.O_BINARY))
