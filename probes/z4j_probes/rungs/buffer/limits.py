"""Limits of this process by which it can write files nowhere: another directory would not help."""

from __future__ import annotations

import os
import sys

from z4j_probes.portable import limits, shell
from z4j_probes.result import Step

# What an empty database with its log takes, generously, and how many files it opens at once.
_DATABASE_BYTES = 256 * 1024
_DATABASE_FILES = 6


def limit_reached() -> tuple[str, Step] | None:
    """The limit that keeps a database from being written, as a clause, and what to do; None for none."""
    size, files = limits.limit("FSIZE"), limits.limit("NOFILE")
    if size is not None and size.soft is not None and size.soft < _DATABASE_BYTES:
        text = "Raise the limit for the size of files (in a unit: LimitFSIZE=)"
        step = Step(text, shell.larger_files())
        return f"a file of this process may have {size.soft} bytes at most", step
    if files is not None and files.soft is not None and files.soft - _open_files() < _DATABASE_FILES:
        step = Step("Raise the limit of open files (in a unit: LimitNOFILE=65536)", shell.more_files())
        return f"this process may have {files.soft} open files at most", step
    return None


def _open_files() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except FileNotFoundError:  # no such system
        return 0
    except OSError:  # no descriptor is left to look with
        return sys.maxsize
