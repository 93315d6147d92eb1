"""Which system this is: for the commands that hints name, and for tables of what its resolver says."""

from __future__ import annotations

import sys
from enum import Enum, auto
from typing import TypeVar

T = TypeVar("T")


class System(Enum):
    """The systems that hints know commands of."""

    LINUX = auto()
    MACOS = auto()
    WINDOWS = auto()


def _this() -> System:
    if sys.platform == "win32":
        return System.WINDOWS
    # another Unix has most of Linux's tools
    return System.MACOS if sys.platform == "darwin" else System.LINUX


THIS = _this()


def by_system(linux: T, macos: T, windows: T) -> T:
    """The one of the three that is this system's."""
    return {System.LINUX: linux, System.MACOS: macos, System.WINDOWS: windows}[THIS]


def is_linux() -> bool:
    """Whether there is a /proc that says what this process's kernel does, and namespaces to enter."""
    return THIS is System.LINUX


def is_windows() -> bool:
    """Whether commands are PowerShell's, and users have no number."""
    return THIS is System.WINDOWS


def has_glibc() -> bool:
    """Whether the C library is glibc, with nsswitch.conf and options that musl (Alpine) does not have."""
    return is_linux() and "musl" not in getattr(sys.implementation, "_multiarch", "")
