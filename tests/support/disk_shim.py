"""A disk that is slow to sync, or that loses in a power cut what was not synced: a preloaded library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_suffix(".c")


def disk_shim(directory: Path) -> Path:
    """The library, compiled into `directory`; skips where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) for a library that makes a disk slow")
    library = directory / "disk_shim.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"],
        check=True,
        timeout=60,
    )
    return library
