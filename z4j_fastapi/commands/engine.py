"""Engine: what a worker's framework can do for a brain, as a protocol for each framework to implement.

    class ArqEngine(Engine):
        name = "arq"
        actions = frozenset({Action.SUBMIT_TASK, Action.FIRE, Action.CANCEL_TASK, …})

        async def cancel(self, task_id: str) -> None: ...

    agent = Z4JAgent(engine=ArqEngine(worker))

How the agent calls it:

- Every method runs in the event loop in which the agent was entered, which is the worker's, and within the
  command's time: it is cancelled when that is over. At most eight run at once, and two may be about one task.
- Only what `actions` names is called, and only where the owner allows it. What an engine does not
  implement keeps the protocol's own method, which refuses.
- Commands are remembered by the agent: an engine is not asked twice for what may not happen twice. A new
  task's id comes from the agent as well. It is derived from the command, so `was_submitted` can answer after
  a crash.

How it answers: by returning where it was done, by `Refused` where nothing was done and nothing changed, by
`Failed` where it was tried and certainly did not happen. Any other exception means that the outcome is
unknown. Ids, names and cursors are texts of one line and bounded length; args and kwargs are JSON, passed to
a function that the worker has registered and never evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from z4j_fastapi.commands.refusal import Failed, InvalidCursor, Refused
from z4j_fastapi.commands.schedule_source import ScheduleSource
from z4j_probes.protocol.actions import Action
from z4j_probes.protocol.health import RunningTask, WorkerDetails

__all__ = [
    "Action",
    "DeadLetter",
    "DeadLetters",
    "Engine",
    "EngineState",
    "Failed",
    "InvalidCursor",
    "NewTask",
    "Reconciled",
    "Refused",
    "Retry",
    "RunningTask",
    "WorkerDetails",
]


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to put into a queue under the id `task_id`. `queue` is None for the worker's own."""

    task_id: str
    name: str
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """An ended task to run again, as `new_id`, with `task_id` as its parent.

    Its arguments are those that the engine has kept; `args` and `kwargs`, where given, replace them.
    """

    task_id: str
    new_id: str
    args: tuple[Any, ...] | None = field(default=None, repr=False)
    kwargs: Mapping[str, Any] | None = field(default=None, repr=False)
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A task that failed for good. Texts may be of any length: the answer is cut to what a brain takes."""

    task_id: str
    task_name: str
    queue: str
    failed_at: datetime | None = None
    """Zoned."""
    error: str = ""
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """A page of them, newest first. `next_cursor` is None on the last one; `total` where it is not known."""

    entries: Sequence[DeadLetter]
    next_cursor: str | None = None
    total: int | None = None


class EngineState(StrEnum):
    """What an engine knows of a task."""

    PENDING = "pending"
    STARTED = "started"
    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"
    """It has no trace of it. A brain leaves such a task alone."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What became of a task. `finished_at` is zoned."""

    state: EngineState
    finished_at: datetime | None = None
    exception: str | None = None


class Engine(Protocol):
    """What a worker's framework can do. Subclass it; the module says how it is called and how it answers."""

    name: str
    """As in events and hello: "arq", "taskiq"."""
    actions: frozenset[Action]
    """What it can do at all with this worker's settings. Read once, when the agent is made."""
    schedules: ScheduleSource | None = None
    """The schedules that the framework runs by itself, where it has a way to do so."""

    @property
    def dead_letter_list(self) -> str:
        """Which list of dead letters is this worker's: workers that share one say the same. From any thread.

        By default all workers of this engine share one.
        """
        return self.name

    def why_not(self, action: Action) -> str:
        """Why an action is not among `actions`, and what to change, in one clause."""
        return f"{self.name} can't do {action} with this worker's settings"

    async def submit(self, task: NewTask) -> None:
        """Put a new task into its queue; `command.unknown_task` where the worker has none of that name."""
        raise _unsupported("submit tasks")

    async def was_submitted(self, task_id: str, since: datetime) -> bool | None:
        """Whether a task with this id was put into a queue at or after `since`, by a process that has gone.

        True: it was. False: certainly not, so it is done now. None: it can't be told, and nothing is done.
        """
        return None

    async def cancel(self, task_id: str) -> None:
        """Keep a task from running, or end it; `command.abort_not_allowed` where it can't be ended."""
        raise _unsupported("cancel tasks")

    async def retry(self, retry: Retry) -> None:
        """Run an ended task again; `command.result_not_kept` where its arguments are not kept."""
        raise _unsupported("retry tasks")

    async def dead_letters(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        """At most `limit` of them, from where `cursor` says, which a page before has named; InvalidCursor.

        A cursor has 190 characters at most.
        """
        raise _unsupported("list dead letters")

    async def requeue(self, task_id: str, new_id: str) -> str:
        """Run a dead letter again and take it off the list; the id that it has now: `new_id` or its own."""
        raise _unsupported("requeue dead letters")

    async def depth(self, queue: str) -> int:
        """How many tasks wait in a queue: neither those that run nor those that are due later.

        The number that is reported as its depth, which a person confirms before it is purged.
        """
        raise _unsupported("count tasks")

    async def depths(self) -> Mapping[str, int]:
        """The same for each queue of this worker, as cheaply as possible: it is asked every 10 s.

        One round trip to the broker. A queue whose depth can't be told is left out, never 0.
        """
        return {}

    def details(self) -> WorkerDetails | None:
        """What this worker is and does now, from memory; None where there is nothing to tell."""
        return None

    def is_running(self, task_id: str) -> bool:
        """Whether this process runs that task now. From any thread."""
        return False

    async def purge(self, queue: str) -> int:
        """Remove what waits in a queue, never what runs; how many that were."""
        raise _unsupported("purge queues")

    async def reconcile(self, task_id: str) -> Reconciled:
        """What became of a task; it changes nothing."""
        raise _unsupported("reconcile tasks")

    async def restart(self, worker_name: str) -> None:
        """Have this worker end, after this has returned; `command.no_worker_here` for another's name."""
        raise _unsupported("restart workers")


def _unsupported(what: str) -> Refused:
    return Refused("command.unsupported", f"this worker's engine can't {what}", "")
