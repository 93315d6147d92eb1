"""Z4JMiddleware: a taskiq broker whose workers have an agent, and its tasks as events.

A worker process starts an agent of its own with the broker, after the fork. What happens to a task is told
in `post_execute`, when every other middleware has seen its error: a retry middleware sends the message
again, under the same id, from its `on_error`.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.workers.task_run import TaskRun

try:
    from taskiq import InMemoryBroker, TaskiqMiddleware
    from taskiq.exceptions import NoResultError, TaskRejectedError
except ModuleNotFoundError as missing:
    if missing.name != "taskiq":
        raise
    raise ModuleNotFoundError(
        "z4j_fastapi.workers.taskiq needs taskiq: pip install 'taskiq>=0.13'", name="taskiq"
    ) from None

if TYPE_CHECKING:
    from taskiq import TaskiqMessage, TaskiqResult

ENGINE = "taskiq"
# What taskiq and its retry middlewares count in a message's labels.
RETRIES_LABEL = "_retries"
REQUEUE_LABEL = "X-Taskiq-requeue"


@dataclass(slots=True)
class _Execution:
    run: TaskRun
    requeues: int
    outer: _Execution | None
    error: BaseException | None = None
    sent_again: bool = False


# The execution that the current code is part of; a task that sends another one is its parent.
_current: ContextVar[_Execution | None] = ContextVar("z4j_taskiq_execution", default=None)


class Z4JMiddleware(TaskiqMiddleware):
    """Tell a brain what happens to a broker's tasks.

        broker = RedisStreamBroker(url).with_middlewares(Z4JMiddleware())

    In a worker process (and with InMemoryBroker) it starts an agent from `agent_arguments`, those of
    Z4JAgent, and `Z4J_*`; tasks find it in the broker's state as `z4j`. In a process that only sends tasks
    it starts none: `agent`, which that process enters itself, tells of what is sent.
    """

    def __init__(self, agent: Z4JAgent | None = None, **agent_arguments: Any) -> None:
        super().__init__()
        self._sender = agent
        self._agent_arguments = {"role": "task", "engines": [ENGINE], **agent_arguments}
        self._own: Z4JAgent | None = None

    async def startup(self) -> None:
        """The broker starts."""
        if self.broker.is_worker_process or (
            self._sender is None and isinstance(self.broker, InMemoryBroker)
        ):
            self._own = await Z4JAgent(**self._agent_arguments).__aenter__()
        self.broker.state.z4j = self._agent

    async def shutdown(self) -> None:
        """The broker stops, and with it the agent that it started."""
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__()

    def post_send(self, message: TaskiqMessage) -> None:
        """A task was sent, or sent again."""
        current = _current.get()
        if current is not None and current.run.task_id == message.task_id:
            current.sent_again = True
            return
        if self._agent is not None:
            run = self._run(self._agent, message)
            if current is not None:
                run.parent_task_id = current.run.task_id
            run.sent(message.args, message.kwargs)

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """A task is about to run."""
        if self._agent is not None:
            run = self._run(self._agent, message)
            _current.set(_Execution(run, _count(message, REQUEUE_LABEL), _current.get()))
            run.started(message.args, message.kwargs)
        return message

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        """A task raised; other middlewares may hide that from the result."""
        execution = _current.get()
        if execution is not None:
            execution.error = exception

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """A task ran."""
        execution = _current.get()
        if execution is None:
            return
        _current.set(execution.outer)
        run, error = execution.run, execution.error
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
        else:
            run.failed(error)

    @property
    def _agent(self) -> Z4JAgent | None:
        return self._own or self._sender

    def _run(self, agent: Z4JAgent, message: TaskiqMessage) -> TaskRun:
        # brokers that have queues name the default one so, and let a label choose another
        queue = message.labels.get("queue_name") or getattr(self.broker, "queue_name", None)
        retries = _count(message, RETRIES_LABEL)
        return TaskRun(agent, ENGINE, message.task_id, message.task_name, queue, retries)


def _count(message: TaskiqMessage, label: str) -> int:
    try:
        return int(message.labels.get(label, 0))
    except (TypeError, ValueError):  # somebody else's label of that name
        return 0
