"""A directory that stays the one that was opened, whatever its path leads to by then (openat(2)).

Windows opens no directories: there, paths are used, and a link is followed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from z4j_probes.portable import files, flags


class Directory:
    """What is in it, by name."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    def names(self) -> list[str]:
        """The names in it. Raises OSError."""
        return os.listdir(self._path if self._descriptor is None else self._descriptor)

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """A file in it, for reading: not what a link leads to, and a FIFO holds no one up. Raises OSError."""
        if self._descriptor is None:
            descriptor = files.open_shared(self._path / name, flags.READ_UNHELD)
        else:
            descriptor = os.open(name, flags.READ_UNHELD, dir_fd=self._descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def stat(self, name: str) -> os.stat_result:
        """Of what has that name, a link too. Raises OSError."""
        if self._descriptor is None:
            return os.lstat(self._path / name)
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)


@contextlib.contextmanager
def open_directory(path: Path) -> Iterator[Directory]:
    """Open it, where it is no link. Raises OSError."""
    if not flags.DIRECTORY:
        yield Directory(path, None)
        return
    descriptor = os.open(path, flags.READ | flags.DIRECTORY | flags.NOFOLLOW)
    try:
        yield Directory(path, descriptor)
    finally:
        os.close(descriptor)
