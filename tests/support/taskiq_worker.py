"""Taskiq workers of a test's own, with a real taskiq-redis; they run `tests.support.taskiq_broker`.

They have an environment of their own (`make taskiq`): taskiq-redis wants a newer Redis client than arq
allows. A test sends nothing itself, it has a brain ask for it; each run is a line in a file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.support.programs import Program, program, unavailable

ROOT = Path(__file__).parents[2]
QUEUE = "jobs"
INTERPRETER = ROOT / ".taskiq/bin/python"


@contextlib.asynccontextmanager
async def running_taskiq(
    directory: Path,
    redis_url: str,
    environment: Mapping[str, str],
    *,
    kind: str = "stream",
    workers: int = 1,
    at_once: int = 10,
) -> AsyncIterator[Program]:
    """A worker of a `stream` or a `list` that runs until the block is left; it and its processes end then."""
    if not INTERPRETER.exists():
        unavailable("taskiq-redis is not installed: run `make taskiq`")
    variables = _variables(directory, redis_url, environment, kind)
    options = ["--workers", str(workers), "--max-async-tasks", str(at_once), "--max-prefetch", "0"]
    options += ["--shutdown-timeout", "2", "--wait-tasks-timeout", "1"]
    log = directory / f"taskiq-{time.monotonic_ns()}.log"
    # a group of its own, to be killed whole: nothing may stay behind
    command = [
        program("setsid"),
        str(INTERPRETER),
        "-m",
        "taskiq",
        "worker",
        *options,
        "tests.support.taskiq_broker:broker",
    ]
    worker = await Program.start(log, *command, environ=variables)
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        await worker.process.wait()


@contextlib.asynccontextmanager
async def running_scheduler(
    directory: Path, redis_url: str, environment: Mapping[str, str], *, kind: str = "stream"
) -> AsyncIterator[Program]:
    """`taskiq scheduler` with the labels and a ListRedisScheduleSource, until the block is left."""
    command = ["-m", "taskiq", "scheduler", "tests.support.taskiq_broker:scheduler"]
    variables = _variables(directory, redis_url, environment, kind)
    log = directory / "taskiq-scheduler.log"
    scheduler = await Program.start(log, str(INTERPRETER), *command, environ=variables)
    try:
        yield scheduler
    finally:
        scheduler.process.kill()
        await scheduler.process.wait()


def _variables(directory: Path, redis_url: str, environment: Mapping[str, str], kind: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "TEST_QUEUE": QUEUE,
        "REDIS_URL": redis_url,
        "TEST_RUNS": str(directory / "runs"),
        "TEST_BROKER": kind,
        "Z4J_HOME": str(directory / "z4j"),
        **environment,
    }


def runs(directory: Path) -> list[str]:
    """What ran, in order, a line each: a task's name and its first argument."""
    path = directory / "runs"
    return path.read_text().splitlines() if path.exists() else []
