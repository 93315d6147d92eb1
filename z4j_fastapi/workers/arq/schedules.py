"""CronJobs: the cron jobs of one running arq worker, as a brain's page shows them.

When one ran last and how often is counted in Redis, where all workers of a queue find it: of several, one
runs a unique job. They are changed where the worker is configured, so the page offers no edits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from arq.cron import CronJob

from z4j_fastapi.commands.engine import Refused
from z4j_fastapi.commands.schedule_source import Kind, Row, ScheduleSource
from z4j_fastapi.workers.arq.cron import expression, zone_name
from z4j_fastapi.workers.arq.queues import OWN_PREFIX, JobQueue
from z4j_fastapi.workers.arq.run import ENGINE

if TYPE_CHECKING:
    from arq.worker import Worker

KEPT_S = 180 * 24 * 3600
"""How long Redis keeps what was counted, and what was sent."""
COUNTED_WITHIN_S = 3.0

_Runs = Mapping[str, tuple[int, datetime | None]]


class CronJobs(ScheduleSource):
    """Everything here runs in the worker's loop. `run` puts a job of a function's name into the queue."""

    kind = "arq-cron"

    def __init__(self, worker: Worker, queue: JobQueue, run: Callable[[str, str], Awaitable[None]]) -> None:
        self._worker = worker
        self._queue = queue
        self._run = run
        self._runs: _Runs = {}
        self._counting: set[asyncio.Future[None]] = set()

    @property
    def has_any(self) -> bool:
        """Whether the worker has cron jobs."""
        return bool(self._worker.cron_jobs)

    async def rows(self) -> Sequence[Row]:
        """A row for each cron job; counts are those of the last look where Redis does not answer."""
        with contextlib.suppress(Exception):  # redis-py's, and what a Redis holds
            async with asyncio.timeout(COUNTED_WITHIN_S):
                self._runs = await self._counted()
        return [self._row(key, job) for key, job in self._by_key().items()]

    async def run_now(self, key: str, task_id: str) -> None:
        """Put a job of its function into the queue."""
        job = self._by_key().get(key)
        if job is None:
            cause = "the worker no longer has this cron job"
            raise Refused("command.unknown_task", cause, "Reload the page")
        await self._run(job.name, task_id)

    async def recall(self, name: str) -> str | None:
        """What was kept in Redis."""
        kept = await (await self._queue.redis()).get(_kept_key(name))
        return None if kept is None else kept.decode()

    async def keep(self, name: str, text: str) -> bool:
        """Keep it in Redis."""
        await (await self._queue.redis()).set(_kept_key(name), text, ex=KEPT_S)
        return True

    def ran(self, function: object) -> None:
        """A function of the worker begins to run; the job does not wait until that is counted."""
        if isinstance(function, CronJob):
            counting = asyncio.ensure_future(self._count(function.name))
            self._counting.add(counting)
            counting.add_done_callback(self._counting.discard)

    async def _count(self, name: str) -> None:
        with contextlib.suppress(Exception):  # without Redis the worker has other worries
            async with asyncio.timeout(COUNTED_WITHIN_S):
                redis = await self._queue.redis()
                async with redis.pipeline(transaction=True) as pipe:
                    pipe.hincrby(self._runs_key, f"count:{name}")
                    pipe.hset(self._runs_key, f"last:{name}", datetime.now(UTC).isoformat())
                    pipe.expire(self._runs_key, KEPT_S)
                    await pipe.execute()

    async def _counted(self) -> _Runs:
        redis: Any = await self._queue.redis()
        found = {key.decode(): value.decode() for key, value in (await redis.hgetall(self._runs_key)).items()}
        runs: dict[str, tuple[int, datetime | None]] = {}
        for name in {job.name for job in self._worker.cron_jobs}:
            last = found.get(f"last:{name}")
            at = None if last is None else datetime.fromisoformat(last)
            runs[name] = (int(found.get(f"count:{name}", 0)), at)
        return runs

    def _by_key(self) -> dict[str, CronJob]:
        """arq lets two cron jobs have one name: the second is told apart by its place."""
        places: Counter[str] = Counter()
        found: dict[str, CronJob] = {}
        for job in self._worker.cron_jobs:
            places[job.name] += 1
            place = places[job.name]
            found[job.name if place == 1 else f"{job.name} #{place}"] = job
        return found

    def _row(self, key: str, job: CronJob) -> Row:
        count, last_run_at = self._runs.get(job.name, (0, None))
        return Row(
            key=key,
            engine=ENGINE,
            name=key,
            task_name=job.name,
            kind=Kind.CRON,
            expression=expression(job),
            timezone=zone_name(self._worker.timezone),
            queue=self._queue.name,
            last_run_at=last_run_at,
            next_run_at=job.next_run,
            total_runs=count,
        )

    @property
    def _runs_key(self) -> str:
        return f"{OWN_PREFIX}cron:{self._queue.name}"


def _kept_key(name: str) -> str:
    return f"{OWN_PREFIX}schedules:{name}"
