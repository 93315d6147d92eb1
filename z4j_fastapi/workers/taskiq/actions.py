"""TaskiqEngine: what a brain asks of taskiq, done by one worker process.

A worker sends tasks to its own queues only, and only those that its broker has registered. What runs is ended
by `running`. What failed runs again from the messages that `failed` keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from taskiq.result_backends.dummy import DummyResultBackend

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
from z4j_fastapi.workers.task_run import error_text
from z4j_fastapi.workers.taskiq.broker_redis import ANSWERS_S, is_stream, lags, redis_of
from z4j_fastapi.workers.taskiq.dead_letters import Kept
from z4j_fastapi.workers.taskiq.executions import ENGINE, Execution
from z4j_fastapi.workers.taskiq.failed import FailedTasks
from z4j_fastapi.workers.taskiq.queues import is_list, queues_of
from z4j_fastapi.workers.taskiq.running import RunningTasks, end
from z4j_fastapi.workers.taskiq.schedules import Schedules
from z4j_fastapi.workers.taskiq.sending import NewMessage, registered, require_no_injected, send, was_sent

if TYPE_CHECKING:
    from taskiq import AsyncBroker, ScheduleSource

    from z4j_fastapi.agent.agent import Z4JAgent

_NEED_MESSAGES = frozenset(
    {Action.RETRY_TASK, Action.BULK_RETRY, Action.LIST_DEAD_LETTERS, Action.REQUEUE_DEAD_LETTER}
)


class TaskiqEngine(Engine):
    """Made before the agent that has it, which is `agent` while it is entered. `keep_failed` is how many
    messages of failed tasks are kept, 0 for none; `schedule_sources` are those of its scheduler."""

    name = ENGINE

    def __init__(
        self,
        broker: AsyncBroker,
        keep_failed: int,
        schedule_sources: Sequence[ScheduleSource] | None = None,
    ) -> None:
        self._broker = broker
        self.running = RunningTasks(broker)
        self.failed = FailedTasks(broker, keep_failed, self._state_directory)
        self.schedules = self.scheduled = Schedules(broker, schedule_sources)
        self.agent: Z4JAgent | None = None
        actions = set(Action) - {Action.RESTART_WORKER}
        if keep_failed <= 0:
            actions -= _NEED_MESSAGES
        if not is_list(broker):
            actions.remove(Action.PURGE_QUEUE)
        self.actions = frozenset(actions)

    @property
    def dead_letter_list(self) -> str:
        """That of its agent's state directory."""
        return self._state_directory() or ""

    def why_not(self, action: Action) -> str:
        """What to change where an action is not among `actions`."""
        if action in _NEED_MESSAGES:
            return "this worker keeps no messages (keep_failed=0), and taskiq keeps none either"
        if action is Action.PURGE_QUEUE:
            return "only a ListQueueBroker has a queue from which what waits can be removed"
        return "taskiq has no way to restart one worker process"

    def close(self) -> None:
        """The worker stops."""
        self.running.close()
        self.failed.close()

    async def begin(self, execution: Execution, task: Any) -> None:
        """A task is about to run."""
        self.failed.begin(execution)
        self.scheduled.ran(execution.message)
        await self.running.begin(execution, task)

    async def submit(self, task: NewTask) -> None:
        """Send a task that this worker's broker has registered."""
        known = registered(self._broker, task.name)
        labels = {**known.labels, **self._queue_label(task.queue)}
        require_no_injected(known, task.kwargs)
        await send(self._broker, NewMessage(task.task_id, task.name, labels, task.args, task.kwargs))

    async def was_submitted(self, task_id: str, since: datetime) -> bool | None:
        """Told by a mark that each sending leaves in the broker's Redis; None without one."""
        return await was_sent(self._broker, task_id, since)

    async def cancel(self, task_id: str) -> None:
        """End it where it runs, or have it end when it would begin."""
        execution = self.running.executions.get(task_id)
        if execution is not None:
            await end(execution)
        elif await self._has_ended(task_id):
            raise Failed("it has ended already")
        else:
            await self.running.end_elsewhere(task_id)

    async def retry(self, retry: Retry) -> None:
        """Send a task that failed again, as a new one."""
        if retry.delay_s:
            cause = "taskiq delays a task only by a schedule source, which a worker doesn't know"
            raise Refused("command.unsupported", cause, "Retry it without a delay")
        await self.failed.send_again(await self._kept(retry.task_id), retry)

    async def dead_letters(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        """A page of the tasks that failed on this host and whose messages are kept."""
        return await self.failed.page(queue, limit, cursor)

    async def requeue(self, task_id: str, new_id: str) -> str:
        """Send a task that failed again, as a new one, once."""
        await self.failed.send_again_once(await self._kept(task_id), new_id)
        return new_id

    async def depth(self, queue: str) -> int:
        """How many tasks wait in a list."""
        self._queue_label(queue)
        async with redis_of(self._broker) as redis:
            return int(await redis.llen(queue))

    async def depths(self) -> Mapping[str, int]:
        """Of a list its length, of a stream what its group has not been given yet; of others nothing."""
        if is_list(self._broker):
            queue = queues_of(self._broker)[0]
            return {queue: await self.depth(queue)}
        return await lags(self._broker, queues_of(self._broker)) if is_stream(self._broker) else {}

    def details(self) -> WorkerDetails:
        """What this process runs and can run."""
        active = [
            RunningTask(run.task_id, run.name or "", run.runtime_s)
            for run in (execution.run for execution in list(self.running.executions.values()))
        ]
        queues = [queue for queue in queues_of(self._broker) if queue]
        functions = list(self._broker.get_all_tasks())
        return WorkerDetails(
            asked_concurrency(sys.argv), queues, functions, active, dict(self.running.counts)
        )

    def is_running(self, task_id: str) -> bool:
        """Whether this process runs it."""
        return task_id in self.running.executions

    async def purge(self, queue: str) -> int:
        """Empty a list: what a worker has taken is not in it."""
        self._queue_label(queue)
        async with redis_of(self._broker) as redis, redis.pipeline(transaction=True) as pipe:
            pipe.llen(queue)
            pipe.delete(queue)
            depth, _ = await pipe.execute()
        return int(depth)

    async def reconcile(self, task_id: str) -> Reconciled:
        """What this process, the result backend or the kept messages know of it."""
        if task_id in self.running.executions:
            return Reconciled(EngineState.STARTED)
        result = await self._result(task_id)
        if result is not None:
            if not result.is_err:
                return Reconciled(EngineState.SUCCESS)
            kept = await self.failed.find_if_possible(task_id)
            failed_at = kept.failed_at if kept else None
            return Reconciled(EngineState.FAILURE, failed_at, error_text(result.error))
        kept = await self.failed.find_if_possible(task_id)
        if kept is not None:
            return Reconciled(EngineState.FAILURE, kept.failed_at, kept.error)
        return Reconciled(EngineState.UNKNOWN)

    async def _has_ended(self, task_id: str) -> bool:
        return await self.failed.find_if_possible(task_id) is not None or await self._is_ready(task_id)

    async def _kept(self, task_id: str) -> Kept:
        kept = await self.failed.find(task_id)
        if kept is not None:
            return kept
        if task_id in self.running.executions:
            raise Refused("command.result_not_kept", "it has not ended", "Wait for its end, then retry it")
        remedy = (
            "Run it again from the application. To keep more messages than the last "
            f"{self.failed.most:,} of failed tasks, raise keep_failed of Z4JMiddleware"
        )
        raise Refused("command.result_not_kept", "no message of it is kept on this host", remedy)

    async def _is_ready(self, task_id: str) -> bool:
        backend = self._broker.result_backend
        if isinstance(backend, DummyResultBackend):  # to it every task has ended
            return False
        async with _backend_answers():
            return bool(await backend.is_result_ready(task_id))

    async def _result(self, task_id: str) -> Any:
        """The stored result; None where there is none, or it would be gone once it was read."""
        backend = self._broker.result_backend
        if not getattr(backend, "keep_results", True) or not await self._is_ready(task_id):
            return None
        async with _backend_answers():
            return await backend.get_result(task_id)

    def _state_directory(self) -> str | None:
        return self.agent.status.buffer_path if self.agent else None

    def _queue_label(self, queue: str | None) -> dict[str, str]:
        """What sends a task to one of this worker's queues; Refused for another worker's."""
        if queue is None:
            return {}
        if queue not in queues_of(self._broker):
            cause = f"this worker has no queue {queue}"
            raise Refused("command.no_worker_here", cause, "Choose a queue of this worker")
        return {"queue_name": queue}


@contextlib.asynccontextmanager
async def _backend_answers() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWERS_S):
            yield
    except Exception as exc:  # the backend's library may raise anything
        cause = f"the result backend does not answer: {type(exc).__name__}"
        raise Refused("command.no_worker_here", cause, "Fix that, then send the command again") from exc


def asked_concurrency(argv: Sequence[str]) -> int | None:
    """What the command line of taskiq's workers says of it: nothing else of theirs is seen from here."""
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        name, is_joined, value = argument.partition("=")
        if name == "--max-async-tasks":
            given = value if is_joined else following
            return int(given) if given.isascii() and given.isdecimal() and int(given) else None
    return None
