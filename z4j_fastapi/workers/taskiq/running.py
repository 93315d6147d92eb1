"""RunningTasks: what a worker process runs now, and ending some of it: here, or over the broker's Redis.

What another process runs is ended by that one, which looks at the broker's `revocations` while it runs
anything, and says what it did. What waits ends when it would begin.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from taskiq import InMemoryBroker

from z4j_fastapi.commands.engine import Failed, Refused
from z4j_fastapi.workers.task_run import StillRunsError
from z4j_fastapi.workers.taskiq.broker_redis import has_redis
from z4j_fastapi.workers.taskiq.executions import Execution, watch, watch_revoked
from z4j_fastapi.workers.taskiq.queues import queue_of, queues_of
from z4j_fastapi.workers.taskiq.revocations import ENDED, NOT_ALLOWED, TOO_LATE, Revocations

if TYPE_CHECKING:
    from taskiq import AsyncBroker

ENDS_WITHIN_S = 10.0
"""How long a task may take to end once it is told."""
PASSED_ON_S = 2.5
"""How long a cancel waits for the process that runs the task; each looks every LOOK_EVERY_S."""
LOOK_EVERY_S = 0.5
_POLL_S = 0.05


class RunningTasks:
    """Of one broker in this process."""

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self._revocations = Revocations(broker) if has_redis(broker) else None
        self._looking: asyncio.Task[None] | None = None
        self.executions: dict[str, Execution] = {}
        """By the id of their task."""
        self.counts: Counter[str] = Counter()
        """How many of each function have begun."""

    def close(self) -> None:
        """The worker stops."""
        if self._looking is not None:
            self._looking.cancel()

    async def begin(self, execution: Execution, task: Any) -> None:
        """A task is about to run: it can be cancelled from now on, or was cancelled already."""
        is_async = watch(task)
        execution.can_end = is_async and not _runs_in_place(self._broker)
        self.executions[execution.run.task_id] = execution
        self.counts[execution.run.name or ""] += 1
        receiver = asyncio.current_task()
        if receiver is not None:  # another middleware may end it before it runs
            receiver.add_done_callback(lambda _: self.ended(execution))
        if self._revocations is None:
            return
        queue = queue_of(self._broker, execution.message.labels)
        with contextlib.suppress(Refused):  # without Redis the worker has other worries
            if await self._revocations.among([execution.run.task_id], queue):
                execution.revoke()
                if not is_async:
                    watch_revoked(task)
        if self._looking is None or self._looking.done():
            looking = self._look_for_revoked(self._revocations)
            self._looking = asyncio.create_task(looking, name="z4j revocations")

    def ended(self, execution: Execution) -> None:
        """It has run."""
        if self.executions.get(execution.run.task_id) is execution:
            del self.executions[execution.run.task_id]
        execution.has_ended.set()

    async def end_elsewhere(self, task_id: str) -> None:
        """Have it ended by the process that runs it, or by the one that would begin it."""
        revocations, queues = self._revocations, queues_of(self._broker)
        if revocations is None:
            cause = "it does not run in this process, and only a broker in Redis lets another one know"
            raise Refused("command.unsupported", cause, "Use a broker of taskiq-redis to cancel such tasks")
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

    async def _look_for_revoked(self, revocations: Revocations) -> None:
        """While anything runs: end what another process was asked to cancel."""
        told: set[Execution] = set()
        while self.executions:
            await asyncio.sleep(LOOK_EVERY_S)
            by_queue: dict[str, list[Execution]] = {}
            for execution in self.executions.values():
                if not execution.is_revoked and execution not in told:
                    queue = queue_of(self._broker, execution.message.labels)
                    by_queue.setdefault(queue, []).append(execution)
            for queue, executions in by_queue.items():
                with contextlib.suppress(Refused):
                    revoked = await revocations.among([one.run.task_id for one in executions], queue)
                    for execution in executions:
                        if execution.run.task_id in revoked:
                            told.add(execution)
                            await _end_and_tell(revocations, execution, queue)
            told &= set(self.executions.values())


async def end(execution: Execution) -> None:
    """End one that runs in this process, and return when it has ended."""
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


async def _end_and_tell(revocations: Revocations, execution: Execution, queue: str) -> None:
    try:
        await end(execution)
    except Refused:
        verdict = NOT_ALLOWED
    except Failed:
        verdict = TOO_LATE
    except StillRunsError:
        return
    else:
        verdict = ENDED
    await revocations.tell(execution.run.task_id, queue, verdict)


def _not_allowed() -> Refused:
    cause = "it runs in a thread, or in the task that sent it, which can't be ended"
    return Refused("command.abort_not_allowed", cause, "Wait for its end")


def _runs_in_place(broker: AsyncBroker) -> bool:
    return isinstance(broker, InMemoryBroker) and broker.await_inplace
