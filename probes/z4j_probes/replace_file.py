"""Replacing a file in one step: a reader sees what was there, or what is there now, whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from z4j_probes.portable import files, private


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to a new file with this mode, and give it that name. OSError leaves all as it was.

    No fsync: after a power cut the file may be empty or the old one, so it is for what can be made again.
    """
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            if mode == 0o600:
                private.close_new_file(Path(name))
            file.write(data)
            if mode != 0o600:
                files.set_mode(descriptor, name, mode)
        files.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
