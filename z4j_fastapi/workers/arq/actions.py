"""ArqEngine: what a brain asks of arq, done by one running worker.

A worker acts on its own queue only, and puts jobs there of its own functions only: another worker may have
other functions, serializers and a project of its own. Jobs that wait are taken out of the queue, never
aborted (`Job.abort` has a deferred job run at once where the worker does not allow it). Kept results are read
in this process, which is the one that may.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from arq.constants import result_key_prefix

from z4j_fastapi.commands.engine import (
    Action,
    DeadLetters,
    Engine,
    EngineState,
    Failed,
    NewTask,
    Reconciled,
    Refused,
    Retry,
    RunningTask,
    WorkerDetails,
)
from z4j_fastapi.workers.arq.abort import abort, take_back_what_was_left
from z4j_fastapi.workers.arq.dead_letters import (
    UNUSED_S,
    DeadLetterIndex,
    failure_text,
    is_dead,
    requeued_key,
)
from z4j_fastapi.workers.arq.queues import (
    MARK_S,
    Found,
    JobQueue,
    NewJob,
    before_anything_is_done,
    sent_key,
)
from z4j_fastapi.workers.arq.run import ENGINE
from z4j_fastapi.workers.arq.schedules import CronJobs
from z4j_fastapi.workers.restart import restart_this_process, what_restarts
from z4j_fastapi.workers.task_run import TaskRun

if TYPE_CHECKING:
    from arq.jobs import JobResult
    from arq.worker import Worker

    from z4j_fastapi.agent.agent import Z4JAgent

MAX_TOLD = 1_000
"""Jobs of one purge that are told as revoked: the events of more would displace those of jobs that ran."""
TAKE_BACK_EACH = 6
"""Which look at the queue is one at `arq:abort`."""
TAKE_BACK_S = 2.0
"""How long a worker's first job waits for what a killed one left to be removed."""
_NEED_RESULTS = frozenset(
    {Action.RETRY_TASK, Action.BULK_RETRY, Action.LIST_DEAD_LETTERS, Action.REQUEUE_DEAD_LETTER}
)


class ArqEngine(Engine):
    """Made before the agent that has it, which is `agent` while it is entered."""

    name = ENGINE

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue = JobQueue(worker)
        self.dead = DeadLetterIndex(self._queue)
        self.schedules = self.cron_jobs = CronJobs(worker, self._queue, self._run_cron_job)
        self.agent: Z4JAgent | None = None
        self.running: dict[str, TaskRun] = {}
        """Jobs whose function has been called and has not returned."""
        self._looks = self._depth = 0
        self.counts: Counter[str] = Counter()
        """How many of each function have been called."""
        actions = set(Action)
        if not _keeps_results(worker):
            actions -= _NEED_RESULTS
        if what_restarts() is None:
            actions.remove(Action.RESTART_WORKER)
        self.actions = frozenset(actions)

    @property
    def dead_letter_list(self) -> str:
        """That of its queue, in its Redis."""
        return self._queue.place

    def why_not(self, action: Action) -> str:
        """What to change where an action is not among `actions`."""
        if action in _NEED_RESULTS:
            return "this worker keeps no results (keep_result=0), and arq keeps arguments nowhere else"
        return "nothing is known that would start this worker again: run it under systemd with Restart=always"

    def close(self) -> None:
        """The worker stops: what is asked when its connection is closed is refused."""
        self._queue.close()

    async def take_back_what_was_left(self) -> None:
        """Remove what killed workers left in `arq:abort`. Never raises: without Redis no job runs either."""
        if self._worker.allow_abort_jobs:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(TAKE_BACK_S):
                    await take_back_what_was_left(await self._queue.redis())

    async def submit(self, task: NewTask) -> None:
        """Put a job of one of this worker's functions into its queue."""
        self._require_queue(task.queue)
        self._require_function(task.name)
        await self._put(NewJob(task.task_id, task.name, task.args, task.kwargs))

    async def was_submitted(self, task_id: str, since: datetime) -> bool | None:
        """Whether it was put into the queue: each submission leaves a mark for some hours."""
        age_s = (datetime.now(UTC) - since).total_seconds()
        if age_s > MARK_S - 60:
            return None
        redis = await self._queue.redis()
        if await redis.exists(sent_key(task_id)):
            return True
        server = await redis.info("server")
        # one that has started since may have forgotten
        return None if server["uptime_in_seconds"] + 1 < age_s else False

    async def cancel(self, task_id: str) -> None:
        """Take it out of the queue, or end it where the worker allows that."""
        found = await self._queue.remove(task_id)
        if found.waits:
            self._revoked(task_id, found)
        elif found.runs:
            await abort(self._worker, self._queue, task_id)
        elif found.result is not None:
            if not isinstance(self._queue.read_result(found.result).result, asyncio.CancelledError):
                raise Failed("it has ended already")
        elif not found.was_cancelled:
            # it may wait in the queue of another worker with this token
            cause = f"there is no such job in the queue {self._queue.name}"
            raise Refused("command.no_worker_here", cause, "Reload the page: it may have ended")

    async def retry(self, retry: Retry) -> None:
        """Put a job that ended into the queue again, as a new one."""
        await self._again(retry, await self._kept(retry.task_id))

    async def dead_letters(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        """A page of the failed jobs whose results are kept."""
        self._require_queue(queue)
        return await self.dead.page(limit, cursor)

    async def requeue(self, task_id: str, new_id: str) -> str:
        """Put a failed job into the queue again, as a new one, once."""
        result = await self._kept(task_id)
        if not is_dead(result):
            raise Failed("it did not fail, so it is not a dead letter")
        await self._again(Retry(task_id, new_id), result, once=True)
        await self.dead.forget(task_id)
        return new_id

    async def depth(self, queue: str) -> int:
        """How many jobs wait; `purge` removes those that are deferred as well."""
        self._require_queue(queue)
        return await self._queue.depth()

    async def depths(self) -> Mapping[str, int]:
        """Of this worker's queue. Now and then the one round trip is for what killed workers left."""
        self._looks += 1
        if self._worker.allow_abort_jobs and self._looks % TAKE_BACK_EACH == 0:
            await take_back_what_was_left(await self._queue.redis())
        else:
            self._depth = await self._queue.glance()
        return {self._queue.name: self._depth}

    def details(self) -> WorkerDetails:
        """What this worker runs and can run."""
        active = [
            RunningTask(run.task_id, run.name or "", run.runtime_s) for run in list(self.running.values())
        ]
        worker = self._worker
        return WorkerDetails(
            worker.max_jobs, [self._queue.name], list(worker.functions), active, dict(self.counts)
        )

    def is_running(self, task_id: str) -> bool:
        """Whether this worker has it, and will end it if told."""
        return task_id in self._worker.job_tasks

    async def purge(self, queue: str) -> int:
        """Take out what waits or is deferred."""
        self._require_queue(queue)
        purged = 0
        async for job_ids in self._queue.purge():
            for job_id in job_ids[: max(0, MAX_TOLD - purged)]:
                self._revoked(job_id)
                await asyncio.sleep(0)  # each is written to disk
            purged += len(job_ids)
        return purged

    async def reconcile(self, task_id: str) -> Reconciled:
        """Where the job is now."""
        found = await self._queue.find(task_id)
        if found.result is not None:
            result = self._queue.read_result(found.result)
            if result.queue_name != self._queue.name:
                return Reconciled(EngineState.UNKNOWN)
            if result.success:
                return Reconciled(EngineState.SUCCESS, result.finish_time)
            return Reconciled(EngineState.FAILURE, result.finish_time, failure_text(result.result))
        if found.runs:
            return Reconciled(EngineState.STARTED)
        return Reconciled(EngineState.PENDING if found.waits else EngineState.UNKNOWN)

    async def restart(self, worker_name: str) -> None:
        """Have this process end as a person would, where something starts it again."""
        if self.agent is None or worker_name != self.agent.status.worker_id:
            raise Refused("command.no_worker_here", "this is another worker")
        await restart_this_process()

    async def _kept(self, task_id: str) -> JobResult:
        found = await self._queue.find(task_id)
        if found.result is None:
            if found.is_queued:
                cause = "it has not ended"
                raise Refused("command.result_not_kept", cause, "Wait for its end, then retry it")
            remedy = (
                "Run it again from the application. To keep results longer, raise the worker's keep_result"
            )
            raise Refused("command.result_not_kept", "arq keeps no result of it", remedy)
        result = self._queue.read_result(found.result)
        self._require_queue(result.queue_name)
        return result

    async def _again(self, retry: Retry, result: JobResult, *, once: bool = False) -> None:
        self._require_function(result.function)
        args = result.args if retry.args is None else retry.args
        kwargs = result.kwargs if retry.kwargs is None else retry.kwargs
        job = NewJob(retry.new_id, result.function, tuple(args), dict(kwargs), retry.delay_s)
        if not once:
            await self._put(job, parent_task_id=retry.task_id)
            return
        with before_anything_is_done():
            redis = await self._queue.redis()
            kept_ms = await redis.pttl(result_key_prefix + retry.task_id)
        mark = requeued_key(retry.task_id)
        is_new = await self._put(
            job, parent_task_id=retry.task_id, once=mark, once_ms=kept_ms if kept_ms > 0 else UNUSED_S * 1000
        )
        if not is_new and await redis.get(mark) != job.job_id.encode():
            cause = "it was requeued before"
            raise Refused("command.result_not_kept", cause, "Find the new task: this one is its parent")

    async def _put(
        self, job: NewJob, *, parent_task_id: str | None = None, once: str | None = None, once_ms: int = 0
    ) -> bool:
        occurred_at = datetime.now(UTC)  # a worker may have begun before this goes on
        is_new = await self._queue.put(job, once=once, once_ms=once_ms)
        run = self._run(job.job_id, job.function)
        if is_new and run is not None:
            run.parent_task_id = run.root_task_id = parent_task_id
            run.sent(job.args, job.kwargs, occurred_at)
            run.waits(job.args, job.kwargs, occurred_at)
        return is_new

    async def _run_cron_job(self, name: str, task_id: str) -> None:
        self._require_function(name)
        await self._put(NewJob(task_id, name))

    def _revoked(self, job_id: str, found: Found | None = None) -> None:
        """arq stores nothing of a job that is taken out."""
        definition = self._queue.read_definition(found.definition) if found else None
        run = self._run(job_id, definition.function if definition else None)
        if run is not None:
            run.revoked(asyncio.CancelledError("taken out of the queue before it started"))

    def _run(self, job_id: str, name: str | None) -> TaskRun | None:
        return None if self.agent is None else TaskRun(self.agent, ENGINE, job_id, name, self._queue.name)

    def _require_queue(self, queue: str | None) -> None:
        if queue not in (None, self._queue.name):
            cause = f"this worker reads the queue {self._queue.name}, not {queue}"
            raise Refused("command.no_worker_here", cause, "Choose a queue of this worker")

    def _require_function(self, name: str) -> None:
        if name not in self._worker.functions:
            raise Refused("command.unknown_task", f"this worker has no function {name}")


def _keeps_results(worker: Worker) -> bool:
    for function in worker.functions.values():
        forever, seconds = function.keep_result_forever, function.keep_result_s
        if worker.keep_result_forever if forever is None else forever:
            return True
        if worker.keep_result_s if seconds is None else seconds:
            return True
    return False
