"""Ending a job that runs: in this process as arq does it, in another one through `arq:abort`.

Either needs `allow_abort_jobs`: without it nothing reads `arq:abort`, and an id that is left there ends a
later job of that id. So nothing is left there, whatever happens.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from arq.constants import abort_jobs_ss
from arq.utils import timestamp_ms

from z4j_fastapi.commands.engine import Failed, Refused
from z4j_fastapi.workers.arq.queues import Found, JobQueue

if TYPE_CHECKING:
    from arq.worker import Worker

ABORT_S = 10.0
"""How long a job may take to end once it is told; another process looks every `poll_delay`, 0.5 s."""
_POLL_S = 0.05


async def abort(worker: Worker, queue: JobQueue, job_id: str) -> None:
    """End a job that runs, and return when it has ended."""
    if not worker.allow_abort_jobs:
        raise Refused("command.abort_not_allowed", "it runs, and this worker does not set allow_abort_jobs")
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
        raise _StillRunsError(f"it was told to end, and still runs after {ABORT_S:g} s")
    if storing is not None:
        await asyncio.wait({storing}, timeout=ABORT_S)
    if not job.cancelled():
        raise Failed("it ended by itself before it could be ended")


class _StillRunsError(Exception):
    """It may end yet: what comes of it is not known."""


async def _abort_elsewhere(queue: JobQueue, job_id: str) -> None:
    """By whatever worker runs it, or by this one where its function is not called yet."""
    redis = await queue.redis()
    deadline_s = time.monotonic() + ABORT_S
    try:
        await redis.zadd(abort_jobs_ss, {job_id: timestamp_ms()})
        while (found := await queue.find(job_id)).runs and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    finally:
        # A task of its own, which ends whatever this one does: that may be cancelled now, or at any moment of
        # it, and redis-py uses a timeout (see hooks).
        taken = not await asyncio.shield(asyncio.ensure_future(redis.zrem(abort_jobs_ss, job_id)))
    if not found.runs:
        _require_aborted(queue, found)
    elif taken:
        raise _StillRunsError(f"its worker told it to end, and it still runs after {ABORT_S:g} s")
    else:
        raise Refused(
            "command.abort_not_allowed",
            f"it is marked as running, and no worker ended it within {ABORT_S:g} s: the one that has it "
            "does not set allow_abort_jobs, or was killed",
        )


def _require_aborted(queue: JobQueue, found: Found) -> None:
    if found.result is not None and not isinstance(
        queue.read_result(found.result).result, asyncio.CancelledError
    ):
        raise Failed("it ended by itself before it could be ended")
    if found.waits:
        raise Failed("it went back to the queue before it could be ended")
