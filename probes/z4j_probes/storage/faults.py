"""Names for what goes wrong with files: an errno or an SQLite result code in, a `buffer.*` code out."""

from __future__ import annotations

import errno
import sqlite3

from z4j_probes.errors import StorageError
from z4j_probes.portable import errors

UNWRITABLE = "buffer.unwritable"
NOT_A_DIRECTORY = "buffer.not_a_directory"
READ_ONLY = "buffer.read_only"
DISK_FULL = "buffer.disk_full"
UNSAFE_DIRECTORY = "buffer.unsafe_directory"
CORRUPT = "buffer.corrupt"
LOCKED = "buffer.locked"
UNEXPECTED = "buffer.unexpected"

# Every errno that is not here says only that the place can't be written; the message carries its name.
_BY_ERRNO = {
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EROFS: READ_ONLY,
    errno.ENOTDIR: NOT_A_DIRECTORY,
    errno.EEXIST: NOT_A_DIRECTORY,  # mkdir, where a file has the name
    errno.EAGAIN: LOCKED,
    errno.EBUSY: LOCKED,  # on Windows: another program has the file open
}

# Extended result codes that mean something else than their primary code (https://sqlite.org/rescode.html).
_BY_EXTENDED_CODE = {
    sqlite3.SQLITE_READONLY_DIRECTORY: UNWRITABLE,
    sqlite3.SQLITE_IOERR_CORRUPTFS: CORRUPT,
    sqlite3.SQLITE_IOERR_DATA: CORRUPT,
}
_BY_PRIMARY_CODE = {
    sqlite3.SQLITE_FULL: DISK_FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_PROTOCOL: LOCKED,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_NOTADB: CORRUPT,
    sqlite3.SQLITE_FORMAT: CORRUPT,
    sqlite3.SQLITE_CANTOPEN: UNWRITABLE,
    sqlite3.SQLITE_IOERR: UNWRITABLE,
    sqlite3.SQLITE_PERM: UNWRITABLE,
    sqlite3.SQLITE_AUTH: UNWRITABLE,
}


def classify(exc: OSError | sqlite3.Error | ValueError) -> str:
    """The code of the `buffer` probe for an exception from the file system or from SQLite."""
    if isinstance(exc, sqlite3.Error):
        # Errors that the sqlite3 module raises by itself carry no code at all.
        code: int | None = getattr(exc, "sqlite_errorcode", None)
        if code is None:
            return UNEXPECTED
        return _BY_EXTENDED_CODE.get(code) or _BY_PRIMARY_CODE.get(code & 0xFF, UNEXPECTED)
    if isinstance(exc, OSError) and (number := errors.number_of(exc)) is not None:
        return _BY_ERRNO.get(number, UNWRITABLE)
    return UNWRITABLE  # ValueError: a path with a NUL in it


def describe(exc: OSError | sqlite3.Error | ValueError) -> str:
    """The system's own words, without the path (which the caller names better)."""
    if isinstance(exc, OSError) and (number := errors.number_of(exc)) is not None:
        return f"{errno.errorcode.get(number, number)}: {errors.words(number)}"
    if isinstance(exc, sqlite3.Error):
        return f"{getattr(exc, 'sqlite_errorname', type(exc).__name__)}: {exc}"
    return str(exc)


def storage_error(exc: OSError | sqlite3.Error | ValueError, what: str) -> StorageError:
    """A StorageError for `exc`; `what` says what could not be done, and where."""
    return StorageError(classify(exc), f"{what} ({describe(exc)})")
