"""A worker's engine that is all there is of the worker: asyncio tasks, and queues in memory.

It does what it is asked for: a submitted task runs, a cancelled one is cancelled, a dead letter holds the
arguments that it failed with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from z4j_fastapi.workers.engine import (
    Action,
    DeadLetter,
    DeadLetters,
    Engine,
    EngineState,
    InvalidCursor,
    NewTask,
    Reconciled,
    Refused,
    Retry,
)

QUEUE = "jobs"
Function = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Run:
    """One task, waiting, running or ended."""

    task: NewTask
    state: EngineState = EngineState.PENDING
    handle: asyncio.Task[None] | None = None
    error: str | None = None
    finished_at: datetime | None = None
    parent: str | None = None


@dataclass(slots=True)
class AsyncioEngine(Engine):
    """`functions` are what it can run. With `holds` a submitted task waits in its queue until `release`."""

    functions: Mapping[str, Function]
    name: str = "arq"
    actions: frozenset[Action] = frozenset(Action)
    holds: bool = False
    can_tell: bool = True
    runs: dict[str, Run] = field(default_factory=dict)
    restarted: list[str] = field(default_factory=list)

    async def submit(self, task: NewTask) -> None:
        if task.name not in self.functions:
            raise Refused("command.unknown_task", f"this worker has no task named {task.name}")
        self._start(Run(task))

    async def was_submitted(self, task_id: str, since: datetime) -> bool | None:
        return task_id in self.runs if self.can_tell else None

    async def cancel(self, task_id: str) -> None:
        run = self._find(task_id)
        if run.handle is not None:
            run.handle.cancel()
        run.state = EngineState.FAILURE

    def is_running(self, task_id: str) -> bool:
        run = self.runs.get(task_id)
        return run is not None and run.state is EngineState.STARTED

    async def retry(self, retry: Retry) -> None:
        old = self._find(retry.task_id).task
        args = old.args if retry.args is None else retry.args
        kwargs = old.kwargs if retry.kwargs is None else retry.kwargs
        await asyncio.sleep(retry.delay_s)
        self._start(Run(NewTask(retry.new_id, old.name, args, kwargs, old.queue), parent=retry.task_id))

    async def dead_letters(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidCursor
        dead = [run for run in self.runs.values() if run.state is EngineState.FAILURE]
        dead = [run for run in dead if queue in (None, run.task.queue or QUEUE)]
        start = int(cursor or 0)
        entries = [
            DeadLetter(run.task.task_id, run.task.name, QUEUE, run.finished_at, run.error or "", 1)
            for run in dead[start : start + limit]
        ]
        end = start + limit
        return DeadLetters(entries, str(end) if end < len(dead) else None, len(dead))

    async def requeue(self, task_id: str, new_id: str) -> str:
        run = self.runs.pop(self._find(task_id).task.task_id)
        task = run.task
        self._start(Run(NewTask(new_id, task.name, task.args, task.kwargs, task.queue), parent=task_id))
        return new_id

    async def depth(self, queue: str) -> int:
        return len(self._waiting(queue))

    async def purge(self, queue: str) -> int:
        waiting = self._waiting(queue)
        for run in waiting:
            del self.runs[run.task.task_id]
        return len(waiting)

    async def reconcile(self, task_id: str) -> Reconciled:
        run = self.runs.get(task_id)
        if run is None:
            return Reconciled(EngineState.UNKNOWN)
        return Reconciled(run.state, run.finished_at, run.error)

    async def restart(self, worker_name: str) -> None:
        self.restarted.append(worker_name)

    async def settled(self) -> None:
        """Wait until nothing runs."""
        await asyncio.gather(
            *(run.handle for run in self.runs.values() if run.handle), return_exceptions=True
        )

    def _find(self, task_id: str) -> Run:
        if task_id not in self.runs:
            raise Refused("command.result_not_kept", f"nothing is kept of {task_id}")
        return self.runs[task_id]

    def _waiting(self, queue: str) -> list[Run]:
        pending = [run for run in self.runs.values() if run.state is EngineState.PENDING]
        return [run for run in pending if (run.task.queue or QUEUE) == queue]

    def _start(self, run: Run) -> None:
        self.runs[run.task.task_id] = run
        if not self.holds:
            run.handle = asyncio.get_running_loop().create_task(self._run(run))

    async def _run(self, run: Run) -> None:
        run.state = EngineState.STARTED
        try:
            await self.functions[run.task.name](*run.task.args, **run.task.kwargs)
        except Exception as exc:
            run.state, run.error = EngineState.FAILURE, f"{type(exc).__name__}: {exc}"
        else:
            run.state = EngineState.SUCCESS
        run.finished_at = datetime.now(UTC)
