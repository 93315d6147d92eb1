"""An arq worker to be killed: what it ran is a list in its Redis, which outlives it.

    arq tests.support.arq_worker.WorkerSettings            (ARQ_TEST_REDIS: its URL)

With ARQ_TEST_DIES it is killed as by `kill -9` once a command has put the job of that id into the queue,
before it is answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

from arq.connections import RedisSettings

from z4j_fastapi.workers.arq import z4j_worker
from z4j_fastapi.workers.arq.actions import ArqEngine
from z4j_fastapi.workers.engine import NewTask

RAN = "ran"
BEGUN = "begun"
REDIS_VARIABLE, DIES_VARIABLE = "ARQ_TEST_REDIS", "ARQ_TEST_DIES"


async def note(ctx: dict[str, Any]) -> None:
    """Be seen to have run."""
    await ctx["redis"].rpush(RAN, ctx["job_id"])


async def forever(ctx: dict[str, Any]) -> None:
    """Run until the worker is killed; the second time, end."""
    if await ctx["redis"].rpush(BEGUN, ctx["job_id"]) == 1:
        await asyncio.Event().wait()


@z4j_worker
class WorkerSettings:
    """Quick to look at its queue."""

    functions = [note, forever]  # noqa: RUF012 - as arq has it
    redis_settings = RedisSettings.from_dsn(os.environ.get(REDIS_VARIABLE, "redis://127.0.0.1"))
    poll_delay = 0.05


@contextmanager
def arq_program(
    python: str, redis_url: str, environment: dict[str, str], *, dies_at: str | None = None
) -> Iterator[Popen[bytes]]:
    """That worker as a process."""
    command = [python, "-m", "arq", f"{__name__}.WorkerSettings"]
    given = {**os.environ, **environment, REDIS_VARIABLE: redis_url, DIES_VARIABLE: dies_at or ""}
    with Popen(command, env=given, cwd=Path(__file__).parents[2]) as process:
        try:
            yield process
        finally:
            process.kill()


if os.environ.get(DIES_VARIABLE):
    _submit = ArqEngine.submit

    async def _submit_and_die(self: ArqEngine, task: NewTask) -> None:
        await _submit(self, task)
        if task.task_id == os.environ[DIES_VARIABLE]:
            os.kill(os.getpid(), signal.SIGKILL)

    ArqEngine.submit = _submit_and_die  # type: ignore[method-assign]
