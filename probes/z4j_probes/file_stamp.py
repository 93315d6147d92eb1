"""Which version of a file was read: its place on the disk and when it was changed, never what is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class FileStamp(NamedTuple):
    """Two that differ are of two versions: a file that was written again, or another one in its place."""

    device: int
    inode: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> FileStamp | None:
        """The file that is there now, behind all links (Kubernetes exchanges `..data`).

        None where there is none, or it is no regular file: a pipe is a new one each time. May hang where a
        mount is gone: call it in a thread.
        """
        try:
            found = os.stat(Path(path).expanduser())
        except (OSError, RuntimeError, ValueError):
            return None
        return cls(found.st_dev, found.st_ino, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def stamps_of(files: Mapping[str, str]) -> dict[str, FileStamp]:
    """The stamps of those files that are there, by the same names."""
    stamps = {name: FileStamp.of(path) for name, path in files.items()}
    return {name: stamp for name, stamp in stamps.items() if stamp is not None}
