"""Services that run the examples of the documentation, each in a process of its own, as an operator would."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.programs import Program

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
STAND_INS = Path(__file__).parent / "stand_ins"
"""For packages that can't be installed beside the others."""


@asynccontextmanager
async def service(directory: Path, *arguments: str, environ: Mapping[str, str]) -> AsyncIterator[Program]:
    """`python -m <arguments>` where the examples are importable, with these variables and few others."""
    name = "-".join(arguments[:2]).replace(":", "-")
    inherited = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "LANG": "C.UTF-8"}
    running = await Program.start(
        directory / f"{name}.log",
        sys.executable,
        "-W",
        "ignore",
        "-m",
        *arguments,
        environ={**inherited, "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{STAND_INS}", **environ},
    )
    try:
        yield running
    finally:
        await running.stop()
