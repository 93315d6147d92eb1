"""TaskRun: one execution of a task, told to the brain as it goes; how an error reads, and what still runs.

What a run tells never raises: a task does not fail because it is watched.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.events import EventKind
from z4j_fastapi.agent.host_values import MAX_TEXT


@dataclass(slots=True)
class TaskRun:
    """What all events of one execution have in common. `name` is None where it is not known.

    `retry_count` counts the executions before this one. `parent_task_id` is the task that sent this one and
    `root_task_id` the first of that line; both are None where they are not known.
    """

    agent: Z4JAgent
    engine: str
    task_id: str
    name: str | None
    queue: str | None = None
    retry_count: int = 0
    parent_task_id: str | None = None
    root_task_id: str | None = None
    _began_s: float = field(default_factory=time.monotonic)

    @property
    def runtime_s(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._began_s

    def descends_from(self, parent: TaskRun) -> None:
        """It was sent by `parent`."""
        self.parent_task_id = parent.task_id
        self.root_task_id = parent.root_task_id or parent.task_id

    def sent(self, args: Sequence[Any], kwargs: Mapping[str, Any], occurred_at: datetime) -> None:
        """It was put into a queue."""
        self._emit(EventKind.TASK_SENT, occurred_at, args=args, kwargs=kwargs)

    def waits(self, args: Sequence[Any], kwargs: Mapping[str, Any], occurred_at: datetime) -> None:
        """It is in a queue. A brain shows no task before something says that it was received."""
        self._emit(EventKind.TASK_RECEIVED, occurred_at, args=args, kwargs=kwargs)

    def started(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """It was taken from the queue and runs: the frameworks have no moment between the two."""
        self._emit(EventKind.TASK_RECEIVED, args=args, kwargs=kwargs)
        self._emit(EventKind.TASK_STARTED)
        self._began_s = time.monotonic()

    def succeeded(self, result: object) -> None:
        """It returned."""
        self._emit(EventKind.TASK_SUCCEEDED, result=result, runtime_ms=self._runtime_ms)

    def failed(self, exc: BaseException, cause: BaseException | None = None) -> None:
        """It is over without success. `cause` is whose traceback says more than that of `exc`."""
        self._emit_exception(EventKind.TASK_FAILED, exc, cause)

    def retried(self, exc: BaseException) -> None:
        """It ended early and will run again: that retry is counted."""
        self.retry_count += 1
        self._emit_exception(EventKind.TASK_RETRIED, exc)

    def revoked(self, exc: BaseException) -> None:
        """It was called off."""
        self._emit_exception(EventKind.TASK_REVOKED, exc)

    def rejected(self, exc: BaseException) -> None:
        """It refused its own message. To a brain that by itself ends nothing, so it has failed, too."""
        self._emit_exception(EventKind.TASK_REJECTED, exc)
        self.failed(exc)

    @property
    def _runtime_ms(self) -> float:
        return round(self.runtime_s * 1000, 3)

    def _emit_exception(
        self, kind: EventKind, exc: BaseException, cause: BaseException | None = None
    ) -> None:
        trace = _traceback(cause or exc)
        self._emit(kind, exception=exc, traceback=trace, runtime_ms=self._runtime_ms)

    def _emit(self, kind: EventKind, occurred_at: datetime | None = None, **data: Any) -> None:
        known: dict[str, Any] = {
            "task_name": self.name,
            "queue": self.queue,
            "parent_task_id": self.parent_task_id,
            "root_task_id": self.root_task_id,
        }
        self.agent.emit(
            kind,
            task_id=self.task_id,
            engine=self.engine,
            occurred_at=occurred_at,
            worker=self.agent.status.worker_id,
            retry_count=self.retry_count,
            **{key: value for key, value in known.items() if value is not None},
            **data,
        )


class StillRunsError(Exception):
    """It was told to end and may yet: what comes of it is not known."""


def error_text(error: object) -> str:
    """What an error says; never the representation of a value, which may hold anything."""
    if not isinstance(error, BaseException):
        return f"<{type(error).__name__}>"
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a host's own __str__ may do anything
        return type(error).__name__


def _traceback(exc: BaseException) -> str | None:
    """Its last part, which is where it was raised; None where there is none."""
    if exc.__traceback__ is None:
        return None
    try:
        return "".join(traceback.format_exception(exc))[-MAX_TEXT:]
    except Exception as broken:  # a host's exception may do anything when it is looked at
        return f"no traceback: {type(broken).__name__}"
