"""Ending a job that runs: in this process as arq does it, in another one through `arq:abort`.

Either needs `allow_abort_jobs`: without it nothing reads `arq:abort`, and an id that is left there ends a
later job of that id. So nothing is left there: what a killed worker could not take back, another one, or the
next one, does, for its list says what came from an agent and when.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from arq.constants import abort_jobs_ss
from arq.utils import timestamp_ms

from z4j_fastapi.commands.engine import Failed, Refused
from z4j_fastapi.workers.arq.queues import OWN_PREFIX, Found, JobQueue
from z4j_fastapi.workers.task_run import StillRunsError

if TYPE_CHECKING:
    from arq.connections import ArqRedis
    from arq.worker import Worker

ABORT_S = 10.0
"""How long a job may take to end once it is told; another process looks every `poll_delay`, 0.5 s."""
ABORTING = f"{OWN_PREFIX}aborting"
"""The sorted set of ids that agents have put into `arq:abort`, by the same moments."""
LEFT_BEHIND_S = 3 * ABORT_S
"""So old, an id there is no longer waited for by the agent that put it there."""
UNUSED_S = 30 * 24 * 3600
_POLL_S = 0.05


async def abort(worker: Worker, queue: JobQueue, job_id: str) -> None:
    """End a job that runs, and return when it has ended."""
    if not worker.allow_abort_jobs:
        cause = "it runs, and this worker does not set allow_abort_jobs"
        raise Refused("command.abort_not_allowed", cause)
    job = worker.job_tasks.get(job_id)
    if job is None:
        await _abort_elsewhere(queue, job_id)
        return
    worker.aborting_tasks.add(job_id)  # before it is cancelled: else arq would run it again
    storing = worker.tasks.get(job_id)
    # whenever that is: this may be cancelled first, and the id would end a later run of the job
    (storing or job).add_done_callback(lambda _: worker.aborting_tasks.discard(job_id))
    job.cancel()
    await asyncio.wait({job}, timeout=ABORT_S)
    if not job.done():
        raise StillRunsError(f"it was asked to end, and still runs after {ABORT_S:g} s")
    if storing is not None:
        await asyncio.wait({storing}, timeout=ABORT_S)
    if not job.cancelled():
        raise Failed("it ended by itself before it could be ended")


async def take_back_what_was_left(redis: ArqRedis) -> None:
    """Remove from `arq:abort` what agents have put there that were killed before they could."""
    oldest_ms = timestamp_ms() - LEFT_BEHIND_S * 1000
    left = await redis.zrangebyscore(ABORTING, "-inf", oldest_ms, start=0, num=100, withscores=True)
    if not left:
        return
    now = await redis.zmscore(abort_jobs_ss, [job_id for job_id, _ in left])
    async with redis.pipeline(transaction=True) as pipe:
        for (job_id, put_ms), score in zip(left, now, strict=True):
            if score == put_ms:  # else another program has put it there since
                pipe.zrem(abort_jobs_ss, job_id)
            pipe.zrem(ABORTING, job_id)
        await pipe.execute()


async def _abort_elsewhere(queue: JobQueue, job_id: str) -> None:
    """By whatever worker runs it, or by this one where its function is not called yet."""
    redis = await queue.redis()
    deadline_s = time.monotonic() + ABORT_S
    try:
        await _put(redis, job_id)
        while (found := await queue.find(job_id)).runs and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    finally:
        # A task of its own, which ends whatever this one does: that may be cancelled now, or at any moment of
        # it, and redis-py uses a timeout (see hooks).
        taken = not await asyncio.shield(asyncio.ensure_future(_take_back(redis, job_id)))
    if not found.runs:
        _require_aborted(queue, found)
    elif taken:
        raise StillRunsError(f"its worker told it to end, and it still runs after {ABORT_S:g} s")
    else:
        raise Refused(
            "command.abort_not_allowed",
            f"it is marked as running, and no worker ended it within {ABORT_S:g} s: the one that has it "
            "does not set allow_abort_jobs, or was killed",
        )


async def _put(redis: ArqRedis, job_id: str) -> None:
    now_ms = timestamp_ms()
    async with redis.pipeline(transaction=True) as pipe:
        pipe.zadd(ABORTING, {job_id: now_ms})
        pipe.expire(ABORTING, UNUSED_S)
        pipe.zadd(abort_jobs_ss, {job_id: now_ms})
        await pipe.execute()


async def _take_back(redis: ArqRedis, job_id: str) -> bool:
    """Whether it was there still."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.zrem(abort_jobs_ss, job_id)
        pipe.zrem(ABORTING, job_id)
        was_there, _ = await pipe.execute()
    return bool(was_there)


def _require_aborted(queue: JobQueue, found: Found) -> None:
    if found.result is not None and not isinstance(
        queue.read_result(found.result).result, asyncio.CancelledError
    ):
        raise Failed("it ended by itself before it could be ended")
    if found.waits:
        raise Failed("it went back to the queue before it could be ended")
