"""The frame size that was learned for a brain, for the next process: a small file beside the last hello."""

from __future__ import annotations

import contextlib
from pathlib import Path

from z4j_probes.portable import files, flags
from z4j_probes.replace_file import replace_file

FILE_NAME = "frame-size"
# A number of bytes has fewer digits.
_MAX_DIGITS = 20


def recall_frame_size(state_directory: Path | None, identity: str) -> int | None:
    """What was remembered; None where nothing was, or nothing that can be read."""
    if state_directory is None:
        return None
    try:
        descriptor = files.open_shared(state_directory / identity / FILE_NAME, flags.READ_UNHELD)
        with open(descriptor, "rb") as file:
            return max(1, int(file.read(_MAX_DIGITS)))
    except (OSError, ValueError):
        return None


def remember_frame_size(state_directory: Path | None, identity: str, size: int | None) -> None:
    """Write it, or remove the file for None. A disk that fails costs a process that learns it again."""
    if state_directory is None:
        return
    path = state_directory / identity / FILE_NAME
    with contextlib.suppress(OSError):
        if size is None:
            path.unlink(missing_ok=True)
        elif recall_frame_size(state_directory, identity) != size:
            replace_file(path, str(size).encode())  # a damaged one counts as none
