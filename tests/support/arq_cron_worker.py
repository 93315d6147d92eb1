"""An arq worker with cron jobs, as a process: what ran is a list in its Redis.

arq tests.support.arq_cron_worker.WorkerSettings      (ARQ_TEST_REDIS, ARQ_TEST_CRON: names)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from subprocess import Popen
from typing import Any

from arq import cron
from arq.connections import RedisSettings

from tests.support.arq_worker import RAN, REDIS_VARIABLE
from z4j_fastapi.workers.arq import z4j_worker

__all__ = ["CRON_VARIABLE", "RAN", "cron_program"]

CRON_VARIABLE = "ARQ_TEST_CRON"


async def note(ctx: dict[str, Any]) -> None:
    """Be seen to have run."""
    await ctx["redis"].rpush(RAN, ctx["job_id"])


_JOBS: dict[str, dict[str, Any]] = {
    "nightly": {"hour": 3, "minute": 30},
    "weekly": {"weekday": "mon", "hour": {8, 9}, "minute": 0},
    "often": {"second": None},
    "odd": {"day": 1, "weekday": 0, "hour": 0, "minute": 0},
}


@z4j_worker
class WorkerSettings:
    """Quick to look at its queue."""

    functions = [note]  # noqa: RUF012 - as arq has it
    cron_jobs = [  # noqa: RUF012
        cron(note, name=name, **_JOBS[name]) for name in os.environ.get(CRON_VARIABLE, "").split()
    ]
    redis_settings = RedisSettings.from_dsn(os.environ.get(REDIS_VARIABLE, "redis://127.0.0.1"))
    poll_delay = 0.05
    timezone = UTC


@contextmanager
def cron_program(
    python: str, redis_url: str, environment: dict[str, str], *names: str
) -> Iterator[Popen[bytes]]:
    """That worker as a process, with these cron jobs."""
    command = [python, "-m", "arq", f"{__name__}.WorkerSettings"]
    given = {**os.environ, **environment, REDIS_VARIABLE: redis_url, CRON_VARIABLE: " ".join(names)}
    with Popen(command, env=given, cwd=Path(__file__).parents[2]) as process:
        try:
            yield process
        finally:
            process.kill()
