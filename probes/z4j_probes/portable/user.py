"""Whom this process acts as: a number and a name on Unix, a name on Windows."""

from __future__ import annotations

import contextlib
import os
import re
import sys

_NOT_IN_NAMES = r"[^A-Za-z0-9._-]+"


def uid() -> int | None:
    """The effective user id; None where users have no number."""
    return int(os.geteuid()) if hasattr(os, "geteuid") else None


def gid() -> int | None:
    """The effective group id; None where groups have no number."""
    return int(os.getegid()) if hasattr(os, "getegid") else None


def groups() -> list[int]:
    """The supplementary groups; none where groups have no number."""
    return list(os.getgroups()) if hasattr(os, "getgroups") else []


def is_root() -> bool:
    """Whether this process may do what it likes to files of others; False on Windows, where ACLs decide."""
    return uid() == 0


def owns(found: os.stat_result) -> bool:
    """Whether this user owns the file; True where that is a matter of ACLs (see `private`)."""
    return uid() in (None, found.st_uid)


def key() -> str:
    """What tells this user from others in the names of files: the uid, or the name."""
    number = uid()
    return re.sub(_NOT_IN_NAMES, "_", _login()) if number is None else str(number)


def short() -> str:
    """This user for a sentence: `uid 1000`, `user alice`."""
    number = uid()
    return f"user {_login()}" if number is None else f"uid {number}"


def full() -> str:
    """This user with the name, as far as there is one: `app (uid 1000)`, `uid 12345`, `alice`."""
    number = uid()
    if number is None:
        return _login()
    name = name_of(number)
    return f"uid {number}" if name is None else f"{name} (uid {number})"


def name() -> str:
    """Only the name: `app`, or `uid 12345` for one that has none."""
    number = uid()
    return _login() if number is None else name_of(number) or f"uid {number}"


def name_of(number: int) -> str | None:
    """The name of a uid; None for one without an entry, as containers have."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError, KeyError):
            import pwd

            return pwd.getpwuid(number).pw_name
    return None


def group_of(number: int) -> int | None:
    """The primary group of a uid; None for one without an entry."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError, KeyError):
            import pwd

            return pwd.getpwuid(number).pw_gid
    return None


def home_of(number: int) -> str | None:
    """The home of a uid; None for one without an entry."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError, KeyError):
            import pwd

            return pwd.getpwuid(number).pw_dir
    return None


def homes() -> list[tuple[int, str]]:
    """The uid and home of each user that the system lists; none where users have no number."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError):
            import pwd

            return [(entry.pw_uid, entry.pw_dir) for entry in pwd.getpwall()]
    return []


def _login() -> str:
    with contextlib.suppress(OSError):
        return os.getlogin()
    return os.environ.get("USERNAME") or os.environ.get("USER") or "unknown"
