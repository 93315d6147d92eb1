"""Execution: one task that runs in a worker process, watched so that it can be ended.

taskiq has no cancel. A receiver runs each message in a task of its own, whose cancellation ends the function
that it awaits, and then goes on as after any error: the result is stored and the message acknowledged. A
cancellation that comes before or after the function would lose both. So the function of a task is watched:
its execution can be ended from its first moment to its last, and a revoked one ends instead of beginning.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from z4j_fastapi.workers.task_run import TaskRun

if TYPE_CHECKING:
    from taskiq import TaskiqMessage

ENGINE = "taskiq"
# What a retry middleware goes by: a cancelled task is not to be sent again.
RETRY_LABEL = "retry_on_error"
# Where a watched function has its original.
_WATCHED = "z4j_watched"


@dataclass(eq=False, slots=True)
class Execution:
    """One task that runs. `sent` is its message as it came, where that is kept if it fails.

    `function` is what it runs; `can_end` says whether that can be cancelled: not in a thread, nor in a task
    of the sender's own.
    """

    run: TaskRun
    message: TaskiqMessage = field(repr=False)
    requeues: int
    outer: Execution | None
    function: object = None
    can_end: bool = False
    sent: bytes | None = field(default=None, repr=False)
    is_revoked: bool = False
    is_called: bool = False
    was_cancelled: bool = False
    error: BaseException | None = None
    sent_again: bool = False
    receiver: asyncio.Task[Any] | None = None
    """The receiver's task, while it awaits the function and may be cancelled."""
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def revoke(self) -> None:
        """If it has not begun it does not; whatever becomes of it, no retry middleware sends it again."""
        self.is_revoked = True
        self.message.labels[RETRY_LABEL] = False

    def end(self) -> bool:
        """End it, or keep it from beginning; False where it has ended."""
        if self.has_ended.is_set():
            return False
        self.revoke()
        if self.receiver is not None:
            self.receiver.cancel("canceled by a person")
        return True


# The execution that the current code is part of; a task that sends another one is its parent.
current_execution: ContextVar[Execution | None] = ContextVar("z4j_taskiq_execution", default=None)


def function_of(task: Any) -> Any:
    """A task's own function, watched or not."""
    return getattr(task.original_func, _WATCHED, task.original_func)


def watch(task: Any) -> bool:
    """Have a task's function watched from now on, where it is a coroutine function; whether it is."""
    function = function_of(task)
    if not inspect.iscoroutinefunction(function):
        return False
    if function is not task.original_func:
        return True

    @functools.wraps(function)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        execution = _called_by_receiver(function)
        if execution is None:
            return await function(*args, **kwargs)
        if execution.is_revoked:
            raise _revoked(execution)
        receiver = asyncio.current_task()
        execution.receiver = receiver if execution.can_end else None
        try:
            return await function(*args, **kwargs)
        except asyncio.CancelledError:
            if execution.is_revoked and receiver is not None:
                execution.was_cancelled = True
                receiver.uncancel()  # else each timeout of this receiver ends as a cancellation
            raise
        finally:
            execution.receiver = None
            execution.has_ended.set()

    setattr(watched, _WATCHED, function)
    task.original_func = watched
    return True


def watch_revoked(task: Any) -> None:
    """The same for a function that runs in a thread, once one of its executions is revoked."""
    if function_of(task) is task.original_func:
        task.original_func = _InThread(task.original_func)


class _InThread:
    """A function that does not run where its execution was revoked.

    Another process, where the host has tasks run in some, gets the function itself: it knows no execution.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        setattr(self, _WATCHED, function)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        execution = _called_by_receiver(self._function)
        if execution is not None and execution.is_revoked:
            raise _revoked(execution)
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self._function,)


def _itself(function: Any) -> Any:
    return function


def _called_by_receiver(function: object) -> Execution | None:
    """The execution whose task this call is; None for a call of the host's own, within a task or without."""
    execution = current_execution.get()
    if execution is None or execution.is_called or execution.function is not function:
        return None
    execution.is_called = True
    return execution


def _revoked(execution: Execution) -> asyncio.CancelledError:
    execution.was_cancelled = True
    return asyncio.CancelledError("canceled before it began")
