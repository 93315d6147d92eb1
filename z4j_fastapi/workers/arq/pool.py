"""z4j_pool: what a process enqueues, told at that moment: a job that waits is seen before a worker has it."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.workers.arq.run import ENGINE, current_run
from z4j_fastapi.workers.task_run import TaskRun

if TYPE_CHECKING:
    from arq.connections import ArqRedis
    from arq.jobs import Job


# Where a function that tells has the one that it stands around.
_TOLD = "z4j_enqueue_job"


def z4j_pool(pool: ArqRedis, agent: Z4JAgent | None = None) -> ArqRedis:
    """Have `pool` tell `agent` of each job that it enqueues; gives the same pool.

        pool = z4j_pool(await create_pool(RedisSettings()), app.state.z4j)
        ctx["redis"] = z4j_pool(ctx["redis"])                       # in a worker's on_startup

    Without `agent` it is that of the job that enqueues, whose child the new job is in any case. A job that
    arq does not take, since there is one of that id, is not told of.
    """
    # a lifespan that runs twice, or a worker's on_startup, marks one pool again: its last agent is told, once
    enqueue = getattr(pool.enqueue_job, _TOLD, pool.enqueue_job)

    @functools.wraps(enqueue)
    async def enqueue_and_tell(function: str, *args: Any, **kwargs: Any) -> Job | None:
        occurred_at = datetime.now(UTC)  # a worker may have begun before this goes on
        job = await enqueue(function, *args, **kwargs)
        parent = current_run.get()
        teller = agent or (parent.agent if parent else None)
        if job is not None and teller is not None:
            queue = kwargs.get("_queue_name") or pool.default_queue_name
            run = TaskRun(teller, ENGINE, job.job_id, function, queue)
            if parent is not None:
                run.descends_from(parent)
            # arq's own arguments begin so
            given = {name: value for name, value in kwargs.items() if not name.startswith("_")}
            run.sent(args, given, occurred_at)
            run.waits(args, given, occurred_at)
        return job

    setattr(enqueue_and_tell, _TOLD, enqueue)
    pool.enqueue_job = enqueue_and_tell  # type: ignore[method-assign]
    return pool
