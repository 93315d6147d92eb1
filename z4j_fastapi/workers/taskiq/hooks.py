"""Z4JMiddleware: a taskiq broker whose workers have an agent, and its tasks as events.

A worker process starts an agent of its own with the broker, after the fork, or with the first task that it
runs: not every receiver starts its broker, and some become worker processes only then. What happens to a
task is told in `post_execute`, when every other middleware has seen its error: a retry middleware sends the
message again, under the same id, from its `on_error`. What a brain asks is done by `actions`.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.status import State
from z4j_fastapi.log import log
from z4j_fastapi.workers.task_run import TaskRun
from z4j_probes.given import Unusable, as_count, seal_arguments

try:
    from taskiq import InMemoryBroker, TaskiqMiddleware
    from taskiq.exceptions import NoResultError, TaskRejectedError
except ModuleNotFoundError as missing:
    if missing.name != "taskiq":
        raise
    raise ModuleNotFoundError(
        "z4j_fastapi.workers.taskiq needs taskiq: pip install 'taskiq>=0.13'", name="taskiq"
    ) from None

from z4j_fastapi.workers.taskiq.actions import TaskiqEngine
from z4j_fastapi.workers.taskiq.dead_letters import KEPT_MESSAGES, MOST_MESSAGES
from z4j_fastapi.workers.taskiq.executions import (
    ENGINE,
    RETRY_LABEL,
    Execution,
    current_execution,
    function_of,
)
from z4j_fastapi.workers.taskiq.sending import PARENT_LABEL, REQUEUE_LABEL, RETRIES_LABEL, ROOT_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskiq import AsyncBroker, ScheduleSource, TaskiqMessage, TaskiqResult


@dataclass(slots=True)
class _Sending:
    """A message between `pre_send` and `post_send`; a broker in memory may run its task meanwhile."""

    task_id: str
    occurred_at: datetime
    outer: _Sending | None
    has_begun: bool = False


_sending: ContextVar[_Sending | None] = ContextVar("z4j_taskiq_sending", default=None)


class Z4JMiddleware(TaskiqMiddleware):
    """Tell a brain what happens to a broker's tasks.

        broker = RedisStreamBroker(url).with_middlewares(Z4JMiddleware())

    In a worker process (and with InMemoryBroker) it starts an agent from `agent_arguments`, those of
    Z4JAgent, and `Z4J_*`; tasks find it in the broker's state as `z4j`. In a process that only sends tasks
    it starts none: `agent`, which that process enters itself, tells of what is sent.

    The agent of a worker does what the brain asks (`commands=`). For that it keeps the messages of the last
    `keep_failed` tasks that failed, for a week at most, in its state directory; with 0 it keeps none, and
    refuses to list dead letters and to run them again. What is no number there is an ERROR in the log, and
    the default is used.

    The brain's page shows the schedules in the labels of the broker's tasks, or those of `schedule_sources`:
    the sources that the service's TaskiqScheduler has.
    """

    def __init__(
        self,
        agent: Z4JAgent | None = None,
        *,
        keep_failed: Any = KEPT_MESSAGES,
        schedule_sources: Sequence[ScheduleSource] | None = None,
        **agent_arguments: Any,
    ) -> None:
        agent_arguments = seal_arguments(agent_arguments)
        super().__init__()
        self._brokers: list[AsyncBroker] = []
        self._sender = agent
        self._keep_failed = _as_kept(keep_failed)
        self._schedule_sources = schedule_sources
        self._agent_arguments = {"role": "task", **agent_arguments}
        self._engine: TaskiqEngine | None = None
        self._own: Z4JAgent | None = None
        self._starting: asyncio.Task[Z4JAgent] | None = None

    def set_broker(self, broker: AsyncBroker) -> None:
        """As a broker calls it. It serves one: of several, the one whose worker this process is."""
        if self.broker is not None and broker is not self.broker:
            log.error(
                "one Z4JMiddleware was given to two brokers, and works for one. Make one for each broker."
            )
        super().set_broker(broker)
        self._brokers.append(broker)

    async def startup(self) -> None:
        """The broker starts. One that is started twice keeps its agent."""
        self._serve_worker()
        is_worker = self.broker.is_worker_process or (
            self._sender is None and isinstance(self.broker, InMemoryBroker)
        )
        if is_worker and self._own is None and self._starting is None:
            self._own = await self._new_agent().__aenter__()
        self.broker.state.z4j = self._agent

    async def shutdown(self) -> None:
        """The broker stops, and with it the agent that it started."""
        if self._starting is not None:
            await self._start_late()
        if self._engine is not None:
            self._engine.close()
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__()

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """A task is about to be sent, or to be sent again."""
        _sending.set(_Sending(message.task_id, datetime.now(UTC), _sending.get()))
        current = current_execution.get()
        if current is not None and current.run.task_id != message.task_id:
            parent = current.run
            message.labels[PARENT_LABEL] = parent.task_id
            message.labels[ROOT_LABEL] = parent.root_task_id or parent.task_id
        return message

    def post_send(self, message: TaskiqMessage) -> None:
        """A task was sent, or sent again."""
        sending = _sending.get()
        while sending is not None and sending.task_id != message.task_id:  # one that could not be sent
            sending = sending.outer
        _sending.set(sending.outer if sending else None)
        current = current_execution.get()
        if current is not None and current.run.task_id == message.task_id:
            current.sent_again = True
        elif self._agent is not None:
            run = self._run(self._agent, message)
            occurred_at = sending.occurred_at if sending else datetime.now(UTC)
            run.sent(message.args, message.kwargs, occurred_at)
            if sending is None or not sending.has_begun:  # else its execution has told so already
                run.waits(message.args, message.kwargs, occurred_at)

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """A task is about to run."""
        sending = _sending.get()
        if sending is not None and sending.task_id == message.task_id:
            sending.has_begun = True
        if self._agent is None:
            await self._start_late()
        if self._agent is not None:
            run = self._run(self._agent, message)
            execution = Execution(run, message, _count(message, REQUEUE_LABEL), current_execution.get())
            current_execution.set(execution)
            run.started(message.args, message.kwargs)
            task = self.broker.find_task(message.task_name)
            if self._engine is not None and task is not None:
                execution.function = function_of(task)
                await self._engine.begin(execution, task)
        return message

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        """A task raised; other middlewares may hide that from the result."""
        execution = current_execution.get()
        if execution is not None:
            execution.error = exception
            if execution.is_revoked:  # another middleware may have replaced the message
                message.labels[RETRY_LABEL] = False

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """A task ran."""
        execution = current_execution.get()
        if execution is None:
            return
        current_execution.set(execution.outer)
        run, error, engine = execution.run, execution.error, self._engine
        if engine is not None:
            engine.running.ended(execution)
        if error is None:
            run.succeeded(result.return_value)
        elif isinstance(error, NoResultError):
            if _count(message, REQUEUE_LABEL) > execution.requeues:
                run.retried(error)
            else:  # it ran, and wants no result to be kept
                run.succeeded(None)
        elif isinstance(error, TaskRejectedError):
            run.rejected(error)
        elif execution.sent_again or isinstance(result.error, NoResultError):
            run.retried(error)
        elif execution.was_cancelled:
            run.revoked(error)
        else:
            if engine is not None:
                await engine.failed.keep(execution, error, datetime.now(UTC))
            run.failed(error)

    def _serve_worker(self) -> None:
        self.broker = next((one for one in self._brokers if one.is_worker_process), self.broker)

    @property
    def _agent(self) -> Z4JAgent | None:
        """What tells of tasks: the agent of this process's own, or the sender's while that is entered."""
        if self._own is None and self._sender is not None and self._sender.status.state is not State.STOPPED:
            return self._sender
        return self._own

    def _new_agent(self, **arguments: Any) -> Z4JAgent:
        self._engine = TaskiqEngine(self.broker, self._keep_failed, self._schedule_sources)
        agent = Z4JAgent(**{"engine": self._engine, **self._agent_arguments, **arguments})
        self._engine.agent = agent
        return agent

    async def _start_late(self) -> None:
        """Start an agent for a task that is about to run, once; tasks that begin meanwhile wait for it."""
        if self._starting is None:
            self._serve_worker()
            # not a moment to fail or to wait for a brain: the task has been taken from its queue
            agent = self._new_agent(preflight="off")
            self._starting = asyncio.ensure_future(agent.__aenter__())
        starting = self._starting
        own = await asyncio.shield(starting)  # others wait for it, too
        if self._starting is starting:
            self._own, self._starting = own, None
            self.broker.state.z4j = own

    def _run(self, agent: Z4JAgent, message: TaskiqMessage) -> TaskRun:
        # brokers that have queues name the default one so, and let a label choose another
        queue = message.labels.get("queue_name") or getattr(self.broker, "queue_name", None)
        retries = _count(message, RETRIES_LABEL)
        return TaskRun(
            agent,
            ENGINE,
            message.task_id,
            message.task_name,
            queue,
            retries,
            parent_task_id=message.labels.get(PARENT_LABEL),
            root_task_id=message.labels.get(ROOT_LABEL),
        )


def _as_kept(keep_failed: Any) -> int:
    kept = as_count("keep_failed", keep_failed)
    if kept is None or isinstance(kept, Unusable):
        log.error(
            "keep_failed of Z4JMiddleware is not a number but of the type %s: %d is used",
            type(keep_failed).__name__,
            KEPT_MESSAGES,
        )
        return KEPT_MESSAGES
    return min(max(kept, 0), MOST_MESSAGES)


def _count(message: TaskiqMessage, label: str) -> int:
    try:
        return int(message.labels.get(label, 0))
    except (TypeError, ValueError):  # another program's label of that name
        return 0
