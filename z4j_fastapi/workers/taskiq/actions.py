"""TaskiqEngine: what a brain asks of taskiq, done by one worker process.

A worker sends tasks to its own queues only, and only those that its broker has registered. What runs is ended
where it runs in this process, and otherwise over the broker's Redis, as `revocations` says. What failed runs
again from the messages that the agent has kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taskiq import InMemoryBroker
from taskiq.result_backends.dummy import DummyResultBackend
from taskiq_dependencies import DependencyGraph

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
from z4j_fastapi.workers.task_run import StillRunsError, error_text
from z4j_fastapi.workers.taskiq.broker_redis import ANSWERS_S, has_redis, is_stream, lags, redis_of
from z4j_fastapi.workers.taskiq.dead_letters import Kept, KeptMessages
from z4j_fastapi.workers.taskiq.executions import ENGINE, Execution, function_of, watch, watch_revoked
from z4j_fastapi.workers.taskiq.revocations import ENDED, NOT_ALLOWED, TOO_LATE, Revocations
from z4j_fastapi.workers.taskiq.schedules import Schedules
from z4j_fastapi.workers.taskiq.sending import NewMessage, send, was_sent
from z4j_probes.errors import StorageError
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:
    from taskiq import AsyncBroker, ScheduleSource

    from z4j_fastapi.agent.agent import Z4JAgent

T = TypeVar("T")

ENDS_WITHIN_S = 10.0
"""How long a task may take to end once it is told."""
PASSED_ON_S = 2.5
"""How long a cancel waits for the process that runs the task; each looks every LOOK_EVERY_S."""
LOOK_EVERY_S = 0.5
_POLL_S = 0.05

# Labels of one sending, which the next one is to begin without.
RETRIES_LABEL = "_retries"
REQUEUE_LABEL = "X-Taskiq-requeue"
PARENT_LABEL = "z4j_parent"
ROOT_LABEL = "z4j_root"

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
        self._keep_failed = keep_failed
        self._kept: KeptMessages | None = None
        self._running: dict[str, Execution] = {}
        self._counts: Counter[str] = Counter()
        self._revocations = Revocations(broker) if has_redis(broker) else None
        self._looking: asyncio.Task[None] | None = None
        self.schedules = self.scheduled = Schedules(broker, schedule_sources)
        self.agent: Z4JAgent | None = None
        actions = set(Action) - {Action.RESTART_WORKER}
        if keep_failed <= 0:
            actions -= _NEED_MESSAGES
        if not _is_list(broker):
            actions.remove(Action.PURGE_QUEUE)
        self.actions = frozenset(actions)

    def why_not(self, action: Action) -> str:
        """What to change where an action is not among `actions`."""
        if action in _NEED_MESSAGES:
            return "this worker keeps no messages (keep_failed=0), and taskiq keeps none either"
        if action is Action.PURGE_QUEUE:
            return "only a ListQueueBroker has a queue from which what waits can be removed"
        return "taskiq has no way to restart one worker process"

    def close(self) -> None:
        """The worker stops."""
        if self._looking is not None:
            self._looking.cancel()
        if self._kept is not None:
            self._kept.close(0.0)  # this is the host's loop

    async def begin(self, execution: Execution, task: Any) -> None:
        """A task is about to run: it can be cancelled from now on, or was cancelled already."""
        is_async = watch(task)
        execution.can_end = is_async and not _runs_in_place(self._broker)
        if self._keep_failed > 0:
            with contextlib.suppress(Exception):  # what can't be written can't be kept
                execution.sent = self._broker.formatter.dumps(execution.message).message
        self._running[execution.run.task_id] = execution
        self._counts[execution.run.name or ""] += 1
        self.scheduled.ran(execution.message)
        receiver = asyncio.current_task()
        if receiver is not None:  # another middleware may end it before it runs
            receiver.add_done_callback(lambda _: self.ended(execution))
        if self._revocations is None:
            return
        queue = _queue_of(self._broker, execution.message.labels)
        with contextlib.suppress(Refused):  # without Redis the worker has other worries
            if await self._revocations.among([execution.run.task_id], queue):
                execution.revoke()
                if not is_async:
                    watch_revoked(task)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_for_revoked(), name="z4j revocations")

    def ended(self, execution: Execution) -> None:
        """It has run."""
        if self._running.get(execution.run.task_id) is execution:
            del self._running[execution.run.task_id]
        execution.has_ended.set()

    async def keep(self, execution: Execution, error: BaseException, failed_at: datetime) -> None:
        """Keep the message of a task that failed for good. Never raises: nothing depends on it."""
        if execution.sent is None:
            return
        run = execution.run
        kept = Kept(
            run.task_id,
            run.name or "",
            run.queue or "",
            failed_at,
            error_text(error),
            run.retry_count + 1,
            execution.sent,
        )
        with contextlib.suppress(StorageError, RuntimeError, TimeoutError, Refused):
            messages = self._messages()
            async with asyncio.timeout(ANSWERS_S):
                await in_daemon_thread(lambda: messages.keep(kept))

    async def submit(self, task: NewTask) -> None:
        """Send a task that this worker's broker has registered."""
        registered = self._registered(task.name)
        labels = {**registered.labels, **self._queue_label(task.queue)}
        _require_no_injected(registered, task.kwargs)
        await send(self._broker, NewMessage(task.task_id, task.name, labels, task.args, task.kwargs))

    async def was_submitted(self, task_id: str, since: datetime) -> bool | None:
        """Told by a mark that each sending leaves in the broker's Redis; None without one."""
        return await was_sent(self._broker, task_id, since)

    async def cancel(self, task_id: str) -> None:
        """End it where it runs, or have it end when it would begin."""
        execution = self._running.get(task_id)
        if execution is not None:
            await _end(execution)
            return
        if await self._has_ended(task_id):
            raise Failed("it has ended already")
        if self._revocations is None:
            cause = "it does not run in this process, and only a broker in Redis lets another one know"
            raise Refused("command.unsupported", cause, "Use a broker of taskiq-redis to cancel such tasks")
        await self._revoke(self._revocations, task_id)

    async def retry(self, retry: Retry) -> None:
        """Send a task that failed again, as a new one."""
        if retry.delay_s:
            cause = "taskiq delays a task only by a schedule source, which a worker doesn't know"
            raise Refused("command.unsupported", cause, "Retry it without a delay")
        await self._again(retry, await self._find(retry.task_id))

    async def dead_letters(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        """A page of the tasks that failed on this host and whose messages are kept."""
        messages = self._messages()
        return await _on_disk(lambda: messages.page(queue, limit, cursor))

    async def requeue(self, task_id: str, new_id: str) -> str:
        """Send a task that failed again, as a new one, once."""
        kept, messages = await self._find(task_id), self._messages()
        if not await _on_disk(lambda: messages.claim(task_id, new_id)):
            cause = "it was requeued before"
            raise Refused("command.result_not_kept", cause, "Find the new task: this one is its parent")
        try:
            await self._again(Retry(task_id, new_id), kept)
        except (Refused, Failed):
            await _on_disk(lambda: messages.put_back(task_id, new_id))
            raise
        return new_id

    async def depth(self, queue: str) -> int:
        """How many tasks wait in a list."""
        self._queue_label(queue)
        async with redis_of(self._broker) as redis:
            return int(await redis.llen(queue))

    async def depths(self) -> Mapping[str, int]:
        """Of a list its length, of a stream what its group has not been given yet; of others nothing."""
        if _is_list(self._broker):
            queue = self._queues()[0]
            return {queue: await self.depth(queue)}
        return await lags(self._broker, self._queues()) if is_stream(self._broker) else {}

    def details(self) -> WorkerDetails:
        """What this process runs and can run."""
        active = [
            RunningTask(run.task_id, run.name or "", run.runtime_s)
            for run in (execution.run for execution in list(self._running.values()))
        ]
        queues = [queue for queue in self._queues() if queue]
        functions = list(self._broker.get_all_tasks())
        return WorkerDetails(asked_concurrency(sys.argv), queues, functions, active, dict(self._counts))

    def is_running(self, task_id: str) -> bool:
        """Whether this process runs it."""
        return task_id in self._running

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
        if task_id in self._running:
            return Reconciled(EngineState.STARTED)
        result = await self._result(task_id)
        if result is not None:
            if not result.is_err:
                return Reconciled(EngineState.SUCCESS)
            kept = await self._kept_of(task_id)
            failed_at = kept.failed_at if kept else None
            return Reconciled(EngineState.FAILURE, failed_at, error_text(result.error))
        kept = await self._kept_of(task_id)
        if kept is not None:
            return Reconciled(EngineState.FAILURE, kept.failed_at, kept.error)
        return Reconciled(EngineState.UNKNOWN)

    async def _revoke(self, revocations: Revocations, task_id: str) -> None:
        queues = self._queues()
        await revocations.add(task_id, queues)
        for _ in range(int(PASSED_ON_S / _POLL_S)):
            verdict = await revocations.told(task_id, queues)
            if verdict == ENDED:
                return
            if verdict == NOT_ALLOWED:
                await revocations.remove(task_id, queues)
                raise _not_allowed()
            if verdict == TOO_LATE:
                await revocations.remove(task_id, queues)
                raise Failed("it ended by itself before it could be ended")
            await asyncio.sleep(_POLL_S)
        # no process that looks at this list runs it: it waits, and ends when it would begin

    async def _look_for_revoked(self) -> None:
        """While anything runs: end what another process was asked to cancel."""
        revocations = self._revocations
        told: set[Execution] = set()
        while self._running and revocations is not None:
            await asyncio.sleep(LOOK_EVERY_S)
            by_queue: dict[str, list[Execution]] = {}
            for execution in self._running.values():
                if not execution.is_revoked and execution not in told:
                    by_queue.setdefault(_queue_of(self._broker, execution.message.labels), []).append(
                        execution
                    )
            for queue, executions in by_queue.items():
                with contextlib.suppress(Refused):
                    revoked = await revocations.among([one.run.task_id for one in executions], queue)
                    for execution in executions:
                        if execution.run.task_id in revoked:
                            told.add(execution)
                            await self._end_and_tell(revocations, execution, queue)
            told &= set(self._running.values())

    async def _end_and_tell(self, revocations: Revocations, execution: Execution, queue: str) -> None:
        try:
            await _end(execution)
        except Refused:
            verdict = NOT_ALLOWED
        except Failed:
            verdict = TOO_LATE
        except StillRunsError:
            return
        else:
            verdict = ENDED
        await revocations.tell(execution.run.task_id, queue, verdict)

    async def _again(self, retry: Retry, kept: Kept) -> None:
        try:
            message = self._broker.formatter.loads(kept.message)
            message.parse_labels()
        except Exception as exc:  # of a broker with another formatter
            raise Failed(f"what is kept of it can't be read: {type(exc).__name__}") from exc
        _require_no_injected(self._registered(message.task_name), retry.kwargs or {})
        labels: dict[str, Any] = {
            name: value
            for name, value in message.labels.items()
            if name not in (RETRIES_LABEL, REQUEUE_LABEL, PARENT_LABEL, ROOT_LABEL)
        }
        labels[PARENT_LABEL] = retry.task_id
        labels[ROOT_LABEL] = message.labels.get(ROOT_LABEL) or retry.task_id
        args = message.args if retry.args is None else retry.args
        kwargs: Mapping[str, Any] = message.kwargs if retry.kwargs is None else retry.kwargs
        await send(self._broker, NewMessage(retry.new_id, message.task_name, labels, args, kwargs))

    async def _has_ended(self, task_id: str) -> bool:
        return await self._kept_of(task_id) is not None or await self._is_ready(task_id)

    async def _find(self, task_id: str) -> Kept:
        messages = self._messages()
        kept = await _on_disk(lambda: messages.find(task_id))
        if kept is None:
            if task_id in self._running:
                cause = "it has not ended"
                raise Refused("command.result_not_kept", cause, "Wait for its end, then retry it")
            raise Refused("command.result_not_kept", "no message of it is kept on this host")
        return kept

    async def _kept_of(self, task_id: str) -> Kept | None:
        if self._keep_failed <= 0:
            return None
        with contextlib.suppress(Refused):
            messages = self._messages()
            return await _on_disk(lambda: messages.find(task_id))
        return None

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

    def _messages(self) -> KeptMessages:
        if self._kept is None:
            directory = self.agent.status.buffer_path if self.agent else None
            if directory is None:
                cause = "this agent has no state directory to keep messages in"
                raise Refused("command.result_not_kept", cause)
            self._kept = KeptMessages(Path(directory), self._keep_failed)
        return self._kept

    def _registered(self, name: str) -> Any:
        task = self._broker.find_task(name)
        if task is None:
            raise Refused("command.unknown_task", f"this worker has no task {name}")
        return task

    def _queues(self) -> list[str]:
        return [getattr(self._broker, "queue_name", ""), *getattr(self._broker, "additional_streams", ())]

    def _queue_label(self, queue: str | None) -> dict[str, str]:
        """What sends a task to one of this worker's queues; Refused for another worker's."""
        if queue is None:
            return {}
        if queue not in self._queues():
            cause = f"this worker has no queue {queue}"
            raise Refused("command.no_worker_here", cause, "Choose a queue of this worker")
        return {"queue_name": queue}


def _require_no_injected(task: Any, kwargs: Mapping[str, Any]) -> None:
    """To taskiq, an argument of that name replaces what the worker injects: its user, its database."""
    graph = DependencyGraph(function_of(task))
    injected = {dependency.param_name for found in graph.dependencies.values() for dependency in found}
    if injected & kwargs.keys():
        cause = "it gives arguments that the worker itself injects"
        raise Refused("command.unsupported", cause, "Leave them out")


async def _end(execution: Execution) -> None:
    if not execution.can_end:
        raise _not_allowed()
    if execution.end():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                await execution.has_ended.wait()
        if not execution.has_ended.is_set():
            raise StillRunsError(f"it was asked to end, and still runs after {ENDS_WITHIN_S:g} s")
    if not execution.was_cancelled:
        raise Failed("it ended by itself before it could be ended")


def _not_allowed() -> Refused:
    cause = "it runs in a thread, or in the task that sent it, which can't be ended"
    return Refused("command.abort_not_allowed", cause, "Wait for its end")


@contextlib.asynccontextmanager
async def _backend_answers() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWERS_S):
            yield
    except Exception as exc:  # the backend's library may raise anything
        cause = f"the result backend does not answer: {type(exc).__name__}"
        raise Refused("command.no_worker_here", cause, "Fix that, then send the command again") from exc


async def _on_disk(call: Callable[[], T]) -> T:
    try:
        return await in_daemon_thread(call)
    except StorageError as exc:
        raise Refused(exc.code, str(exc)) from exc


def _queue_of(broker: AsyncBroker, labels: Mapping[str, Any]) -> str:
    return str(labels.get("queue_name") or getattr(broker, "queue_name", ""))


def _is_list(broker: AsyncBroker) -> bool:
    """By its name: taskiq-redis is not needed here, and hosts derive their own."""
    names: Collection[str] = [kind.__name__ for kind in type(broker).__mro__]
    return has_redis(broker) and any(name.startswith("ListQueue") for name in names)


def asked_concurrency(argv: Sequence[str]) -> int | None:
    """What the command line of taskiq's workers says of it: nothing else of theirs is seen from here."""
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        name, is_joined, value = argument.partition("=")
        if name == "--max-async-tasks":
            given = value if is_joined else following
            return int(given) if given.isascii() and given.isdecimal() and int(given) else None
    return None


def _runs_in_place(broker: AsyncBroker) -> bool:
    return isinstance(broker, InMemoryBroker) and broker.await_inplace
