"""The file of events that no brain takes: its name, and how many are in it, for those who only look."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

FILE_NAME = "aside.sqlite"
# An agent is in it for milliseconds.
_LOCK_S = 1.0


def count_aside(directory: Path) -> int | None:
    """How many events an identity's directory has set aside; None where that can't be told. Only reads."""
    path = directory / FILE_NAME
    try:
        path.stat()  # not exists(): since Python 3.14 it says no where it can't tell
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:
        return None
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_LOCK_S)
        ) as file:
            found: int = file.execute("SELECT count(*) FROM event").fetchone()[0]
            return found
    except sqlite3.Error:
        return None
