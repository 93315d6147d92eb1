"""A worker whose queue is a file: what it submits is a line there, which outlives it.

    python file_worker.py FILE [die]

With `die` it is killed as by `kill -9` between acting and answering.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from z4j_fastapi import Z4JAgent
from z4j_fastapi.workers.engine import Action, Engine, NewTask


class FileEngine(Engine):
    """Its queue is `path`; with `dies` nothing after the act is done."""

    name = "arq"
    actions = frozenset({Action.FIRE, Action.SUBMIT_TASK})

    def __init__(self, path: Path, *, dies: bool) -> None:
        self._path = path
        self._dies = dies

    async def submit(self, task: NewTask) -> None:
        with self._path.open("a") as queue:
            queue.write(f"{task.task_id}\n")
        if self._dies:
            os.kill(os.getpid(), signal.SIGKILL)

    async def was_submitted(self, task_id: str, since: datetime) -> bool | None:
        return task_id in self._path.read_text().split()


async def main() -> None:
    engine = FileEngine(Path(sys.argv[1]), dies="die" in sys.argv)
    async with Z4JAgent(engine=engine, role="task"):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
